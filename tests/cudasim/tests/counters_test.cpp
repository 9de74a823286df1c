#include "checks.h"

namespace cudasim::test {
namespace {

class Counting : public Checks {
protected:
  Counters counted(const std::string &body, std::array<uint32_t, 3> block = {32, 1, 1}) {
    options.uninitialised = false;
    auto counters = tryRun(body, {1, 1, 1}, block);
    EXPECT_TRUE(counters) << (counters ? "" : counters.error().text);
    return counters ? *counters : Counters{};
  }
};

TEST_F(Counting, BankConflicts) {
  auto replays = [&](const std::string &address, const std::string &load) {
    Counters c = counted(address + load);
    EXPECT_EQ(c.sharedLoadRequests, 1U);
    return c.sharedReplays;
  };
  EXPECT_EQ(replays("", "ld.shared.u32 r4, [r2];"), 0U); // a row
  EXPECT_EQ(replays("", "ld.shared.u32 r4, [r1];"), 0U); // one word for all
  EXPECT_EQ(replays("shl.b32 r2, t, 3; add.u32 r2, r2, r1; ", "ld.shared.u32 r4, [r2];"),
            1U); // every other word
  EXPECT_EQ(replays("shl.b32 r2, t, 3; add.u32 r2, r2, r1; ", "ld.shared.u64 l4, [r2];"),
            0U); // a row of pairs
  EXPECT_EQ(replays("shl.b32 r2, t, 4; add.u32 r2, r2, r1; ", "ld.shared.v4.u32 {r4, r5, r6, r7}, [r2];"),
            0U);
  EXPECT_EQ(replays("and.b32 r2, t, 7; shl.b32 r2, r2, 7; add.u32 r2, r2, r1; ", "ld.shared.u32 r4, [r2];"),
            7U); // a column of 8
}

TEST_F(Counting, Sectors) {
  auto sectors = [&](const std::string &address, const std::string &load) {
    Counters c = counted(address + load);
    EXPECT_EQ(c.globalLoadRequests, 1U);
    return c.globalLoadSectors;
  };
  EXPECT_EQ(sectors("", "ld.global.u32 r4, [l1];"), 4U);
  EXPECT_EQ(sectors("", "ld.global.u32 r4, [l1+4];"), 5U);
  EXPECT_EQ(sectors("", "ld.global.u32 r4, [pin];"), 1U);
  EXPECT_EQ(sectors("mul.wide.u32 l4, t, 32; add.s64 l4, l4, pin; ", "ld.global.u32 r4, [l4];"), 32U);
  EXPECT_EQ(
      sectors("mul.wide.u32 l4, t, 16; add.s64 l4, l4, pin; ", "ld.global.v4.u32 {r4, r5, r6, r7}, [l4];"),
      16U);
  EXPECT_EQ(counted("setp.lt.u32 p0, t, 8; @p0 ld.global.u32 r4, [l1];").globalLoadBytes, 32U);
}

TEST_F(Counting, SectorsOfALaunchEachOnce) {
  Counters c = counted("ld.global.u32 r4, [l1]; ld.global.u32 r5, [l1+4]; st.global.u32 [l2], r4; "
                       "st.global.u32 [l2], r5; and.b32 r5, t, 7; mul.wide.u32 l4, r5, 64; "
                       "add.s64 l4, l4, pin; ld.global.u32 r4, [l4];");
  EXPECT_EQ(c.globalLoadSectors, 4U + 5U + 8U);
  EXPECT_EQ(c.globalLoadDistinct, 5U + 8U - 3U); // l4 meets the row's first, third and fifth sector
  EXPECT_EQ(c.globalStoreDistinct, 4U);
}

TEST_F(Counting, InstructionsByClassAndOpcode) {
  Counters c = counted(
      "setp.lt.u32 p0, t, 40; @p0 bra SKIP; add.f32 f1, f0, f0; fma.rn.f32 f1, f0, f0, f0; SKIP: bar.sync 0;",
      {64, 1, 1});
  EXPECT_EQ(c.of("fma.rn.f32"), 1U); // of the second warp
  EXPECT_EQ(c.of("add.f32"), 1U);
  EXPECT_EQ(c.of("no.such"), 0U);
  EXPECT_EQ(c.of(OpClass::Fma), 1U);
  EXPECT_EQ(c.of(OpClass::Barrier), 2U); // the lanes have met again
  EXPECT_EQ(c.divergentBranches, 1U);
  EXPECT_EQ(c.barriers, 1U);
  EXPECT_EQ(c.threads, 64U);
  std::string json = c.json(launch);
  EXPECT_TRUE(json.starts_with(R"({"kernel":"k","grid":[1,1,1],"block":[64,1,1],"shared":1024,)")) << json;
  EXPECT_NE(json.find(R"("divergent_branches":1,)"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("fma.rn.f32":1)"), std::string::npos) << json;
  EXPECT_EQ(json.find('\n'), std::string::npos);
}

} // namespace
} // namespace cudasim::test
