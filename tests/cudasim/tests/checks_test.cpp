// What the device refuses: small kernels, each with one bug, and the report that it must give.
#include "checks.h"

namespace cudasim::test {
namespace {

TEST_F(Checks, ReportsNameKernelLineAndThread) {
  auto result = tryRun("ld.global.u32 r3, [l1+960];", {2, 1, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(
      result.error().text,
      "global load out of bounds: 0 bytes past the end of allocation 1 of 1024 bytes: kernel k, PTX line 21 "
      "'ld.global.u32', thread (16,0,0) of block (0,0,0)");
}

TEST_F(Checks, Bounds) {
  expectFault("ld.global.u32 r3, [l1+960];", kIllegalAddress,
              "global load out of bounds: 0 bytes past the end of allocation 1");
  expectFault("ld.global.u32 r3, [l1+-4];", kIllegalAddress,
              "global load out of bounds: 4 bytes before allocation 1");
  expectFault("st.global.v4.u32 [pout+1016], {r0, r0, r0, r0};", kMisalignedAddress, "", {1, 1, 1},
              {1, 1, 1});
  expectFault("st.global.v2.u32 [pout+1024], {r0, r0};", kIllegalAddress, "global store out of bounds",
              {1, 1, 1}, {1, 1, 1});
  expectFault("mov.b64 l3, 0; ld.global.u32 r3, [l3];", kIllegalAddress, "null address (+0)");
  expectFault("mov.b64 l3, 64; ld.u32 r3, [l3];", kIllegalAddress, "null address (+64)");
  expectFault("st.shared.u32 [r2+1000], r0;", kIllegalAddress,
              "shared store out of bounds: 4 bytes at 1024 of 1024 bytes");
  expectFault("st.shared.u32 [r2+-4], r0;", kIllegalAddress, "shared store out of bounds");
  expectFault("st.local.u32 [lm+16], r0;", kIllegalAddress,
              "local store out of bounds: 4 bytes at 16 of 16 bytes");
  expectFine("st.global.u32 [l2+768], r0;");
}

TEST_F(Checks, Alignment) {
  expectFault("ld.global.u32 r3, [l1+2];", kMisalignedAddress,
              "misaligned global load of 4 bytes at an address that is 2 modulo 4");
  expectFault("ld.global.v4.f32 {f0, f1, f2, f3}, [l1];", kMisalignedAddress,
              "misaligned global load of 16 bytes at an address that is 4");
  expectFault("ld.global.v2.f32 {f0, f1}, [l1];", kMisalignedAddress, "misaligned global load of 8 bytes");
  expectFault("st.shared.u32 [r2+1], r0;", kMisalignedAddress, "misaligned shared store");
  expectFault("st.local.u32 [lm+2], r0;", kMisalignedAddress, "misaligned local store");
}

TEST_F(Checks, UseAfterFree) {
  memory.free(input);
  expectFault("ld.global.u32 r3, [l1];", kIllegalAddress,
              "use after free: byte 0 of allocation 1 of 1024 bytes");
}

TEST_F(Checks, UninitialisedReads) {
  expectFault("ld.global.u32 r3, [l2];", kIllegalAddress,
              "read of uninitialised global memory (byte 0 of allocation 2 of 1024 bytes)");
  expectFault("ld.shared.u32 r3, [r2];", kLaunchFailed,
              "read of uninitialised shared memory (byte 0 of shared memory)");
  expectFault("setp.lt.u32 p0, t, 63; @p0 st.shared.u32 [r2], r0; bar.sync 0; ld.shared.u32 r3, [r2];",
              kLaunchFailed, "(byte 252 of shared memory)");
  expectFault("red.global.add.u32 [l2], 1;", kIllegalAddress, "read of uninitialised global memory");
  expectFine("st.global.u32 [l2], r0; ld.global.u32 r3, [l2];");
  options.uninitialised = false;
  expectFine("ld.shared.u32 r3, [r2]; ld.global.u32 r4, [l2+512];");
}

TEST_F(Checks, SharedMemoryRaces) {
  std::string other = "xor.b32 r4, r0, 128; add.u32 r4, r4, r1; "; // the same lane of the other warp
  options.uninitialised = false;
  expectFault("st.shared.u32 [r2], r0; " + other + "ld.shared.u32 r5, [r4];", kLaunchFailed,
              "race in shared memory: overwrites what another warp read since the last barrier");
  expectFault("st.shared.u32 [r2], r0; " + other + "st.shared.u32 [r4], r0;", kLaunchFailed,
              "race in shared memory: overwrites what");
  expectFault("st.shared.u32 [r2], r0; bar.sync 0; " + other +
                  "ld.shared.u32 r5, [r4]; st.shared.u32 [r2], r5;",
              kLaunchFailed, "race in shared memory: reads what thread 0 wrote since the last barrier");
  expectFault("st.shared.u32 [r2], r0; bar.sync 0; " + other +
                  "setp.lt.u32 p0, t, 32; @p0 ld.shared.u32 r5, [r4]; @!p0 st.shared.u32 [r2], r0;",
              kLaunchFailed,
              "race in shared memory: overwrites what another warp read since the last barrier");
  expectFine("st.shared.u32 [r2], r0; bar.sync 0; " + other +
             "ld.shared.u32 r5, [r4]; bar.sync 0; st.shared.u32 [r2], r5;");
  std::string neighbour = "xor.b32 r4, r0, 4; add.u32 r4, r4, r1; ";
  expectFault("st.shared.u32 [r2], r0; " + neighbour + "ld.shared.u32 r5, [r4];", kLaunchFailed,
              "since the last __syncwarp");
  expectFine("st.shared.u32 [r2], r0; bar.warp.sync -1; " + neighbour + "ld.shared.u32 r5, [r4];");
  options.races = false;
  expectFine("st.shared.u32 [r2], r0; " + neighbour + "ld.shared.u32 r5, [r4];");
}

TEST_F(Checks, BytesOfOneWordDoNotRace) {
  expectFine("add.u32 r4, r1, t; st.shared.u8 [r4], t; bar.sync 0; ld.shared.u8 r5, [r4];");
  expectFine("cvt.u64.u32 l4, t; add.s64 l4, l4, pout; mov.u32 r4, %ctaid.x; shl.b32 r4, r4, 5; cvt.u64.u32 "
             "l5, r4; add.s64 l4, l4, l5; "
             "st.global.u8 [l4], t;",
             {2, 1, 1}, {32, 1, 1});
}

TEST_F(Checks, LanesThatStoreToOnePlaceMustAgree) {
  expectFault("st.global.u32 [pout], t;", kLaunchFailed,
              "two lanes store different values to the same place");
  expectFault("st.shared.u32 [sm], t;", kLaunchFailed, "two lanes store different values", {1, 1, 1},
              {32, 1, 1});
  expectFine("st.global.u32 [pout], 7;", {1, 1, 1}, {32, 1, 1});
}

TEST_F(Checks, RacesBetweenBlocks) {
  std::array<uint32_t, 3> two{2, 1, 1};
  expectFault("st.global.u32 [l2], r0;", kLaunchFailed,
              "race between blocks: overwrites what block (0,0,0) wrote in this launch", two);
  std::string first = "mov.u32 r4, %ctaid.x; setp.eq.u32 p0, r4, 0; ";
  expectFault(first + "@p0 st.global.u32 [l2], r0; @!p0 ld.global.u32 r5, [l2];", kLaunchFailed,
              "reads what block (0,0,0) wrote", two);
  expectFault(first + "@p0 ld.global.u32 r5, [l1]; @!p0 st.global.u32 [l1], r0;", kLaunchFailed,
              "overwrites what another block reads", two);
  expectFault(first + "@p0 red.global.add.u32 [l1], 1; @!p0 ld.global.u32 r5, [l1];", kLaunchFailed,
              "reads what an atomic wrote", two);
  expectFine("red.global.add.u32 [pin], 1;", two);
  expectFine("ld.global.nc.u32 r5, [l1];", two);
  options.races = false;
  expectFine("st.global.u32 [l2], r0;", two);
}

TEST_F(Checks, RacesBetweenWarpsInGlobalMemory) {
  std::string other =
      "xor.b32 r4, r0, 128; cvt.u64.u32 l3, r4; add.s64 l3, l3, pout; "; // the same lane of the other warp
  std::string write = "st.global.u32 [l2], r0; ", barrier = "bar.sync 0; ", split = "setp.lt.u32 p0, t, 32; ";
  expectFault(other + write + barrier + split + "@p0 st.global.u32 [l2], r1; @!p0 ld.global.u32 r5, [l3];",
              kLaunchFailed, "race between warps of a block: reads what warp 0 wrote since the last barrier");
  expectFault(other + "st.global.u32 [l2], r0; st.global.u32 [l3], r0;", kLaunchFailed,
              "race between warps of a block: overwrites what warp 0 wrote since the last barrier");
  expectFault(other + write + barrier + split + "@p0 ld.global.u32 r5, [l3]; @!p0 st.global.u32 [l2], r5;",
              kLaunchFailed,
              "race between warps of a block: overwrites what another warp read since the last barrier");
  // Read by both warps, written by one.
  expectFault(split + "ld.global.u32 r5, [pin]; @!p0 st.global.u32 [pin], 7;", kLaunchFailed,
              "overwrites what another warp read since the last barrier");
  expectFault("red.global.add.u32 [pin], 1; ld.global.u32 r5, [pin];", kLaunchFailed,
              "race between warps of a block: overwrites what another warp read");
  expectFine(other + write + barrier + "ld.global.u32 r5, [l3]; bar.sync 0; st.global.u32 [l2], r5;");
  expectFine(write + "ld.global.u32 r5, [l2]; st.global.u32 [l2], r5;"); // its own
  expectFine("red.global.add.u32 [pin], 1; bar.sync 0; ld.global.u32 r5, [pin];");
  // Each block's intervals are its own.
  expectFine("mov.u32 r4, %ctaid.x; shl.b32 r4, r4, 8; cvt.u64.u32 l4, r4; add.s64 l2, l2, l4; " + write +
                 barrier + "ld.global.u32 r5, [l2];",
             {4, 1, 1});
  options.races = false;
  expectFine(other + "st.global.u32 [l2], r0; st.global.u32 [l3], r0;");
}

TEST_F(Checks, AFenceAndAnAtomicOrderWarps) {
  // Warp 0 writes, fences and counts; warp 1 counts and reads.
  std::string body =
      "setp.lt.u32 p0, t, 32; and.b32 r4, t, 31; mul.wide.u32 l3, r4, 4; add.s64 l3, l3, pout; "
      "@p0 st.global.u32 [l3], r0; {} atom.global.add.u32 r6, [pin+512], 1; "
      "@!p0 ld.volatile.global.u32 r5, [l3];";
  expectFine(fmt::format(fmt::runtime(body), "membar.gl;"));
  expectFault(fmt::format(fmt::runtime(body), ""), kLaunchFailed, "reads what warp 0 wrote");
}

TEST_F(Checks, AFenceAndAnAtomicOrderBlocks) {
  // Block 0 writes, fences and counts; block 1 counts and reads.
  std::string body = "mov.u32 r4, %ctaid.x; setp.eq.u32 p0, r4, 0; @p0 st.global.u32 [l2], r0; {} "
                     "atom.global.add.u32 r6, [pin+512], 1; @!p0 ld.volatile.global.u32 r5, [l2];";
  expectFine(fmt::format(fmt::runtime(body), "membar.gl;"), {2, 1, 1}, {32, 1, 1});
  expectFault(fmt::format(fmt::runtime(body), ""), kLaunchFailed, "reads what block (0,0,0) wrote", {2, 1, 1},
              {32, 1, 1});
}

TEST_F(Checks, NonCoherentLoadsOfWhatTheLaunchWrote) {
  expectFault("st.global.u32 [l1], r0; ld.global.nc.u32 r5, [l1];", kLaunchFailed,
              "reads through the non-coherent cache");
}

TEST_F(Checks, DivergentBarriers) {
  expectFault("setp.lt.u32 p0, t, 40; @p0 bar.sync 0;", kLaunchFailed,
              "divergent barrier: its predicate differs within the warp");
  expectFault("setp.lt.u32 p0, t, 32; @!p0 bra SKIP; bar.sync 0; bra END; SKIP: bar.sync 0; END:",
              kLaunchFailed, "divergent barrier: threads of one block wait at different barriers");
  expectFault("setp.lt.u32 p0, t, 32; @p0 bra SKIP; LOOP: shfl.sync.idx.b32 r4, r0, 0, 31, -1; bar.sync 0; "
              "bar.sync 0; SKIP: bar.sync 0;",
              kLaunchFailed, "divergent barrier");
  expectFine("setp.lt.u32 p0, t, 32; @p0 ret; bar.sync 0;"); // threads that have exited do not count
}

TEST_F(Checks, MemberMasks) {
  expectFault("shfl.sync.idx.b32 r4, r0, 0, 31, 1;", kLaunchFailed,
              "the member mask 0x00000001 does not name the executing lane 1");
  expectFault("setp.lt.u32 p0, t, 8; @p0 shfl.sync.idx.b32 r4, r0, 0, 31, -1;", kLaunchFailed,
              "wait here for lanes that the member mask names and that do not come", {1, 1, 1}, {32, 1, 1});
  expectFault("shfl.sync.bfly.b32 r4, r0, 16, 31, -1;", kLaunchFailed,
              "lane 0 reads from lane 16, which takes no part", {1, 1, 1}, {16, 1, 1});
  expectFine("setp.lt.u32 p0, t, 8; @p0 shfl.sync.idx.b32 r4, r0, 0, 31, 0xFF;", {1, 1, 1}, {32, 1, 1});
}

TEST_F(Checks, AsynchronousCopiesLandAtTheWait) {
  std::string copy = "cp.async.ca.shared.global [r2], [l1], 4; ";
  expectFault(copy + "cp.async.commit_group; ld.shared.u32 r4, [r2];", kLaunchFailed,
              "read of uninitialised shared memory");
  expectFault(copy + "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 r4, [r2];", kLaunchFailed,
              "uninitialised");
  expectFault(copy + "cp.async.wait_group 0; ld.shared.u32 r4, [r2];", kLaunchFailed,
              "uninitialised"); // not committed
  expectFault(copy + "cp.async.wait_all; xor.b32 r4, r0, 128; add.u32 r4, r4, r1; ld.shared.u32 r5, [r4];",
              kLaunchFailed,
              "shared memory"); // the other warp's: a barrier is missing
  expectFine(
      copy +
      "cp.async.wait_all; bar.sync 0; xor.b32 r4, r0, 128; add.u32 r4, r4, r1; ld.shared.u32 r5, [r4];");
}

TEST_F(Checks, Arithmetic) {
  expectFault("div.u32 r4, r0, r1;", kLaunchFailed, "integer division by zero");
  expectFault("trap;", kLaunchFailed, "trap");
}

TEST_F(Checks, Budget) {
  options.budget = 10000;
  expectFault("LOOP: bra LOOP;", kLaunchTimeout,
              "the launch executed 10000 warp instructions: an endless loop?");
}

TEST_F(Checks, ALaneThatSpinsLetsTheHolderOfTheLockRun) {
  expectFine(
      "LOOP: atom.global.cas.b32 r4, [pin+512], 0x01010101, 1; setp.ne.u32 p0, r4, 0x01010101; @p0 bra LOOP; "
      "add.u32 r6, r6, 1; atom.global.exch.b32 r5, [pin+512], 0x01010101;");
}

TEST_F(Checks, LaunchLimits) {
  std::string nothing = "mov.u32 r4, 0;";
  expectFault(nothing, kInvalidValue, "a block of 1025x1x1 threads", {1, 1, 1}, {1025, 1, 1});
  expectFault(nothing, kInvalidValue, "a block of 1x1x65 threads", {1, 1, 1}, {1, 1, 65});
  expectFault(nothing, kInvalidValue, "a block of 0x1x1 threads", {1, 1, 1}, {0, 1, 1});
  expectFault(nothing, kInvalidValue, "a grid of 1x65536x1 blocks", {1, 65536, 1});
  expectFault(nothing, kInvalidValue, "a grid of 0x1x1 blocks", {0, 1, 1});
  launch.sharedBytes = 48 * 1024;
  expectFault(nothing, kInvalidValue,
              "1024 + 49152 bytes of shared memory; sm_80 has 49152 a block, 166912 after opting in");
  launch.maxSharedBytes = 64 * 1024;
  expectFine(nothing);
  launch.sharedBytes = 166 * 1024;
  launch.maxSharedBytes = 166 * 1024;
  expectFault(nothing, kInvalidValue, "bytes of shared memory");
  launch.sharedBytes = 0;
  launch.registers = 255;
  expectFault(nothing, kOutOfResources, "1024 threads of 255 registers need 262144, sm_80 has 65536",
              {1, 1, 1}, {1024, 1, 1});
  expectFine(nothing, {1, 1, 1}, {256, 1, 1});
}

TEST_F(Checks, Profiles) {
  EXPECT_EQ(findProfile("sm_70"), nullptr);
  for (const char *name : {"sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"})
    ASSERT_NE(findProfile(name), nullptr) << name;
  auto tooNew = Module::load(wrap("mov.u32 r4, 0;", 90), memory, findProfile("sm_80"));
  ASSERT_FALSE(tooNew);
  EXPECT_EQ(tooNew.error().code, kNoBinaryForGpu);
}

TEST_F(Checks, UnknownPtxIsRefused) {
  expectFault("frob.u32 r4, r0;", kInvalidPtx, "PTX line 21: unknown opcode in 'frob.u32' (kernel k)");
  expectFault("add.wobble.u32 r4, r0, r0;", kInvalidPtx, "unsupported modifier '.wobble'");
  expectFault("add.u32 l4, r0, r0;", kInvalidPtx, "register 'l4' has the wrong size");
  expectFault("add.u32 r4, r0;", kInvalidPtx, "2 operands, but it takes 3");
  expectFault("add.u32 r4, r0, nowhere;", kInvalidPtx, "unknown symbol 'nowhere'");
  expectFault("bra NOWHERE;", kInvalidPtx, "unknown label 'NOWHERE'");
  expectFault("shfl.bfly.b32 r4, r0, 1, 31;", kInvalidPtx, ".sync is missing");
  expectFault("mov.u32 r4, 0", kInvalidPtx, "PTX line");
  expectFault("max.f32 f0, f1, f2, f3;", kInvalidPtx, "this needs sm_100, the module is for sm_80");
  auto empty = Module::load("no PTX at all", memory);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, kInvalidPtx);
}

TEST_F(Checks, MemoryRunsOut) {
  Memory small(4096);
  void *all = small.allocate(4096);
  EXPECT_NE(all, nullptr);
  EXPECT_EQ(small.allocate(1), nullptr);
  EXPECT_EQ(small.available(), 0);
  EXPECT_TRUE(small.free(all));
  EXPECT_FALSE(small.free(all)); // twice
  EXPECT_EQ(small.available(), 4096);
}

} // namespace
} // namespace cudasim::test
