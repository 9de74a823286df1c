// Kernels with planted bugs: each must be reported, and the two that are right must not.
#include "lab.h"

namespace cudasim::test {
namespace {

void expectFault(const std::expected<Counters, Fault> &result, int code, const std::string &text) {
  ASSERT_FALSE(result) << "not caught";
  EXPECT_EQ(result.error().code, code) << result.error().text;
  EXPECT_NE(result.error().text.find(text), std::string::npos) << result.error().text;
}

TEST_P(Corpus, BuggyOutOfBounds) {
  auto a = random(1000), o = empty(1000);
  auto result = tryLaunch("buggy", "oob", {{5, 1, 1}, {256, 1, 1}}, a, o, 1000);
  expectFault(result, kIllegalAddress,
              "global load out of bounds: 0 bytes past the end of allocation 1 of 4000 bytes");
  expectFault(result, kIllegalAddress, "thread (232,0,0) of block (3,0,0)");
}

TEST_P(Corpus, BuggyMisalignedVector) {
  auto a = random(1024), o = empty(32);
  expectFault(tryLaunch("buggy", "mis", {{1, 1, 1}, {32, 1, 1}}, a.device() + 1, o), kMisalignedAddress,
              "misaligned global load of 16 bytes");
}

TEST_P(Corpus, BuggyDivergentBarrier) {
  auto o = empty(64);
  o.zero();
  expectFault(tryLaunch("buggy", "dl", {{1, 1, 1}, {64, 1, 1}}, o), kLaunchFailed, "divergent barrier");
}

TEST_P(Corpus, BuggyMissingBarrier) {
  auto o = empty(256);
  expectFault(tryLaunch("buggy", "nosync", {{1, 1, 1}, {256, 1, 1}}, o), kLaunchFailed,
              "race in shared memory: reads what thread 0 wrote since the last barrier");
}

TEST_P(Corpus, BuggyWriteAfterRead) {
  auto o = empty(256);
  expectFault(tryLaunch("buggy", "war", {{1, 1, 1}, {256, 1, 1}}, o), kLaunchFailed, "race in shared memory");
}

TEST_P(Corpus, BuggySharedOutOfBounds) {
  auto o = empty(64);
  expectFault(tryLaunch("buggy", "shoob", {{1, 1, 1}, {64, 1, 1}}, o), kIllegalAddress,
              "shared store out of bounds");
}

TEST_P(Corpus, BuggyUseAfterFree) {
  auto o = empty(256);
  float *stale = nullptr;
  {
    auto a = random(1000);
    stale = a.device();
  }
  expectFault(tryLaunch("buggy", "oob", {{1, 1, 1}, {256, 1, 1}}, stale, o, 1000), kIllegalAddress,
              "use after free");
}

TEST_P(Corpus, BuggyUninitialisedRead) {
  auto a = empty(256), o = empty(256);
  expectFault(tryLaunch("buggy", "oob", {{1, 1, 1}, {256, 1, 1}}, a, o, 256), kIllegalAddress,
              "read of uninitialised global memory");
}

TEST_P(Corpus, BuggyBlocksThatOverlap) {
  auto o = empty(256);
  expectFault(tryLaunch("buggy", "overlap", {{4, 1, 1}, {64, 1, 1}}, o), kLaunchFailed,
              "race between blocks: overwrites what block (0,0,0) wrote");
}

TEST_P(Corpus, BuggyGlobalMissingBarrier) {
  auto a = random(256), o = random(256);
  expectFault(tryLaunch("buggy", "globalnosync", {{1, 1, 1}, {256, 1, 1}}, a, o), kLaunchFailed,
              "race between warps of a block");
  launch("buggy", "globalsync", {{1, 1, 1}, {256, 1, 1}}, a, o);
  auto before = [&](int t) { return 2.0 * a.host[static_cast<size_t>(t)]; };
  expectNear(o.read(), [&](int t) { return before(t) + before(t ^ 32); });
}

TEST_P(Corpus, BuggyGlobalWriteAfterRead) {
  auto a = random(256);
  expectFault(tryLaunch("buggy", "globalwar", {{1, 1, 1}, {256, 1, 1}}, a), kLaunchFailed,
              "race between warps of a block: overwrites what another warp read since the last barrier");
}

TEST_P(Corpus, BuggyWarpsThatStoreToOnePlace) {
  auto o = empty(1);
  expectFault(tryLaunch("buggy", "onewinner", {{1, 1, 1}, {64, 1, 1}}, o), kLaunchFailed,
              "race between warps of a block: overwrites what warp 0 wrote since the last barrier");
}

TEST_P(Corpus, BuggyInPlaceThroughRestrict) {
  auto a = random(256);
  expectFault(tryLaunch("buggy", "shifted", {{1, 1, 1}, {256, 1, 1}}, a, a, 256), kLaunchFailed,
              "non-coherent cache");
}

TEST_P(Corpus, BuggyMissingWait) {
  if (GetParam() < 80)
    GTEST_SKIP() << "cp.async needs sm_80";
  auto a = random(64), o = empty(64);
  expectFault(tryLaunch("async", "nowait", {{1, 1, 1}, {64, 1, 1}}, a, o), kLaunchFailed,
              "read of uninitialised shared memory");
}

TEST_P(Corpus, BuggyMissingSyncwarp) {
  auto o = empty(32);
  expectFault(tryLaunch("buggy", "nosyncwarp", {{1, 1, 1}, {32, 1, 1}}, o), kLaunchFailed,
              "since the last __syncwarp");
}

TEST_P(Corpus, BuggyShuffleFromAbsentLane) {
  auto o = empty(48);
  expectFault(tryLaunch("buggy", "absent", {{1, 1, 1}, {48, 1, 1}}, o), kLaunchFailed, "which takes no part");
}

TEST_P(Corpus, BuggyEndlessLoop) {
  auto o = empty(1);
  o.zero();
  options.budget = 100000;
  expectFault(tryLaunch("buggy", "endless", {{1, 1, 1}, {32, 1, 1}}, o), kLaunchTimeout, "an endless loop?");
}

TEST_P(Corpus, DivergentShufflesAreFine) {
  auto o = empty(64);
  launch("buggy", "okdiv", {{1, 1, 1}, {64, 1, 1}}, o);
  auto before = [](int t) { return t & 1 ? t + (t ^ 2) : 2 * t; };
  expectNear(
      o.read(), [&](int t) { return before(t) + before(t ^ 1); }, 0);
}

TEST_P(Corpus, AnyOrderOfWarpsAndBlocksGivesTheSameBits) {
  int n = 100000;
  auto x = random(n), y = empty(32);
  std::vector<float> first;
  Counters counters;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    options.seed = seed;
    Counters now = launch("reductions", "reduce_shared", {{32, 1, 1}, {256, 1, 1}}, x, y, n);
    if (seed == 0) {
      first = y.read();
      counters = now;
    }
    EXPECT_EQ(y.read(), first);
    EXPECT_EQ(now.warpInstructions, counters.warpInstructions);
    EXPECT_EQ(now.opcodes, counters.opcodes);
    EXPECT_EQ(now.sharedWaves, counters.sharedWaves);
  }
}

} // namespace
} // namespace cudasim::test
