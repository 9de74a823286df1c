// Kernels of matrix products against chains of fmaf in the canonical order.
#include <cmath>

#include "ir/text.h"
#include "tests/support/contract_kernel.h"

namespace gradc {
namespace {

using namespace testing::contract;

TEST_F(ContractKernel, MatmulBatchLanes) {
  for (auto [n, k, m] :
       {std::array{64, 84, 10}, {16, 17, 33}, {48, 1, 5}, {80, 130, 7}, {60, 20, 11}, {3, 9, 5}}) {
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({n, k}, true), f32({m, k}, false), f32({n, m}, true)});
    checkAll({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)});
  }
}

TEST_F(ContractKernel, MatmulColumnLanes) {
  for (auto [m, k, n] : {std::array{10, 64, 84},
                         {33, 32, 16},
                         {1, 16, 7},
                         {40, 48, 130},
                         {10, 60, 84},
                         {5, 7, 20},
                         {6, 17, 9}}) {
    checkAll(
        {"matmul(%p, %q) {transpose_a = true}", f32({k, m}, true), f32({k, n}, false), f32({m, n}, false)});
    checkAll(
        {"matmul(%p, %q) {transpose_a = true}", f32({k, m}, false), f32({k, n}, false), f32({m, n}, false)});
    checkAll({"matmul(%p, %q)", f32({m, k}, false), f32({k, n}, false), f32({m, n}, false)});
  }
  checkAll(
      {"matmul(%p, %q)", f32({2, 3, 5, 7}, false), f32({2, 3, 7, 20}, false), f32({2, 3, 5, 20}, false)});
}

/// Weights in n16: forward, towards the input (in segments, too) and towards the weights; examples missing in the last
/// block, tiles that would cross a block of units.
TEST_F(ContractKernel, MatmulPackedWeights) {
  for (auto [n, inputs, units] :
       {std::array{16, 20, 32}, {9, 700, 16}, {32, 1100, 48}, {20, 130, 80}, {10, 515, 512}}) {
    const std::string x = f32({n, inputs}, true), y = f32({n, units}, true), w = f32({units, inputs}, true);
    checkAll({"matmul(%p, %q) {transpose_b = true}", x, w, y});
    checkAll({"matmul(%p, %q)", y, w, x});
    checkAll({"matmul(%p, %q) {transpose_a = true}", y, x, w});
  }
}

TEST_F(ContractKernel, MatmulPackedLanes) {
  for (auto [m, k, n] : {std::array{10, 64, 84}, {33, 37, 16}, {1, 5, 7}, {7, 48, 130}})
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({m, k}, false), f32({n, k}, false), f32({m, n}, false)});
  checkAll({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", f32({3, 9, 4}, false),
            f32({3, 18, 9}, false), f32({3, 4, 18}, false)});
}

/// One rhs for all leading indices of lhs.
TEST_F(ContractKernel, MatmulShared) {
  checkAll({"matmul(%p, %q)", f32({2, 3, 5, 7}, false), f32({7, 20}, false), f32({2, 3, 5, 20}, false)});
  checkAll({"matmul(%p, %q) {transpose_b = true}", f32({3, 5, 18}, false), f32({33, 18}, false),
            f32({3, 5, 33}, false)});
  check({"matmul(%p, %q)", f32({16, 2, 7}, true), f32({7, 5}, false), f32({16, 2, 5}, true)}, "native",
        {4, 2}, 1);
}

/// Operands beyond the caches: several blocks of rows, of columns and of the depth, none of them even.
TEST_F(ContractKernel, MatmulBlocked) {
  const std::string rows = f32({290, 900}, false), turned = f32({900, 290}, false), y = f32({290, 70}, false);
  uint32_t seed = 1;
  for (const char *mcpu : {"native", "haswell"})
    for (RegisterTile tile : {RegisterTile{6, 4}, {12, 2}, {3, 1}}) {
      check({"matmul(%p, %q)", rows, f32({900, 70}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_b = true}", rows, f32({70, 900}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_a = true}", turned, f32({900, 70}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", turned, f32({70, 900}, false), y},
            mcpu, tile, ++seed);
    }
  // neighbouring rows that are copied, as there are many panels
  check({"matmul(%p, %q) {transpose_a = true}", turned, f32({900, 1030}, false), f32({290, 1030}, false)},
        "native", {6, 4}, 1);
  // rows a page apart
  check({"matmul(%p, %q)", f32({300, 1024}, false), f32({1024, 70}, false), f32({300, 70}, false)}, "native",
        {6, 4}, 1);
  check({"matmul(%p, %q) {transpose_b = true}", f32({131, 2048}, false), f32({80, 2048}, false),
         f32({131, 80}, false)},
        "haswell", {5, 2}, 1);
  check({"matmul(%p, %q)", f32({10, 200, 128}, false), f32({128, 1100}, false), f32({10, 200, 1100}, false)},
        "native", {6, 4}, 1);
}

/// The same of layers: weight gradients from <n16> examples, some of them missing in the last block, blocks of
/// examples a page apart or not; forward and towards the input.
TEST_F(ContractKernel, LayersBlocked) {
  uint32_t seed = 1;
  for (const char *mcpu : {"native", "haswell"})
    for (RegisterTile tile : {RegisterTile{6, 4}, {12, 2}, {3, 1}})
      for (auto [n, units, inputs] : {std::array{907, 290, 70}, {1030, 320, 70}})
        check({"matmul(%p, %q) {transpose_a = true}", f32({n, units}, true), f32({n, inputs}, false),
               f32({units, inputs}, false)},
              mcpu, tile, ++seed);
  // panels of one vector whose lines compete
  for (auto [n, units, inputs] : {std::array{64, 70, 512}, {60, 130, 1024}})
    check({"matmul(%p, %q) {transpose_a = true}", f32({n, units}, true), f32({n, inputs}, false),
           f32({units, inputs}, false)},
          "haswell", {6, 1}, ++seed);
  l2Bytes = 64 << 10;
  for (const char *mcpu : {"native", "haswell"})
    for (auto [n, inputs, units] :
         {std::array{40, 300, 200}, {150, 260, 130}, {16, 1024, 64}, {70, 260, 1024}}) {
      const std::string x = f32({n, inputs}, true), y = f32({n, units}, true);
      check({"matmul(%p, %q) {transpose_b = true}", x, f32({units, inputs}, false), y}, mcpu, {0, 0}, ++seed);
      check({"matmul(%p, %q)", x, f32({inputs, units}, false), y}, mcpu, {0, 0}, ++seed);
    }
}

/// Segments of the depth, added in a step of their own, in every form that a batch by a large matrix takes: whole, in
/// strips, in blocks, element by element.
TEST_F(ContractKernel, MatmulSegments) {
  uint32_t seed = 1;
  auto checkBoth = [&](int64_t n, int64_t k, int64_t m, const std::string &mcpu, RegisterTile tile) {
    for (bool n16 : {false, true})
      check({"matmul(%p, %q)", f32({n, k}, n16), f32({k, m}, false), f32({n, m}, n16)}, mcpu, tile, ++seed);
  };
  for (auto [n, k, m] : {std::array{64, 512, 512}, {20, 640, 430}, {9, 1088, 257}})
    for (int64_t bytes : {2 << 20, 64 << 10}) {
      l2Bytes = bytes;
      checkBoth(n, k, m, "native", {0, 0});
    }
  checkBoth(33, 832, 500, "haswell", {3, 2}); // the row-major one in blocks
  check({"matmul(%p, %q)", f32({16, 512}, true), f32({512, 512}, false), f32({16, 512}, false)}, "native",
        {0, 0}, ++seed);
}

TEST_F(ContractKernel, MatmulDotLanes) {
  for (auto [m, k, n] :
       {std::array{1, 784, 33}, {1, 84, 10}, {3, 37, 16}, {8, 50, 7}, {2, 32, 1}, {5, 400, 40}})
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({m, k}, false), f32({n, k}, false), f32({m, n}, false)});
}

TEST_F(ContractKernel, MatmulExampleLanes) {
  checkAll({"matmul(%p, %q)", f32({32, 3, 5, 7}, true), f32({32, 3, 7, 6}, true), f32({32, 3, 5, 6}, true)});
  checkAll({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", f32({16, 7, 5}, true),
            f32({16, 9, 7}, true), f32({16, 5, 9}, true)});
  checkAll({"matmul(%p, %q)", f32({21, 5, 7}, true), f32({21, 7, 6}, true), f32({21, 5, 6}, true)});
}

/// A schedule may come from a file that somebody edited.
TEST_F(ContractKernel, TilesOfAnySize) {
  const Case c{"matmul(%p, %q) {transpose_b = true}", f32({32, 9}, true), f32({40, 9}, false),
               f32({32, 40}, true)};
  for (RegisterTile tile : {RegisterTile{1, 1}, {32, 2}, {33, 1}, {-1, 4}, {4, 17}})
    check(c, "native", tile, 1);
}

/// Batches that fill no block, one, and a part of the next.
TEST_F(ContractKernel, MatmulOfEveryBatch) {
  for (int64_t n = 1; n <= 17; ++n) {
    check(
        {"matmul(%p, %q) {transpose_b = true}", f32({n, 40}, n > 8), f32({5, 40}, false), f32({n, 5}, n > 8)},
        "native", {0, 0}, 4);
    check(
        {"matmul(%p, %q) {transpose_a = true}", f32({n, 5}, true), f32({n, 20}, false), f32({5, 20}, false)},
        "native", {0, 0}, 5);
  }
}

/// What does not fit the cache is cut into strips.
TEST_F(ContractKernel, MatmulInSmallCaches) {
  uint32_t seed = 1;
  for (int64_t bytes : {4 << 10, 32 << 10}) {
    l2Bytes = bytes;
    for (auto [n, k, m] : {std::array{64, 84, 90}, {16, 1024, 33}, {32, 600, 70}}) {
      check({"matmul(%p, %q) {transpose_b = true}", f32({n, k}, true), f32({m, k}, false), f32({n, m}, true)},
            "native", {0, 0}, seed++);
      check({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)}, "native", {0, 0},
            seed++);
      check({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)}, "haswell", {0, 0},
            seed++);
    }
  }
}

/// Other layouts take the generic path, in the same order of operations.
TEST_F(ContractKernel, MatmulGeneric) {
  check({"matmul(%p, %q) {transpose_b = true}", f32({5, 37}, true), f32({7, 37}, false), f32({5, 7}, true)},
        "native", {0, 0}, 5);
  check({"matmul(%p, %q)", f32({32, 5}, true), f32({5, 7}, false), f32({32, 7}, false)}, "native", {0, 0}, 4);
}

/// Bias and relu on a matmul, two results, one of them over its operand.
TEST_F(ContractKernel, EpilogueInPlace) {
  const char *text = R"(
func @f(%x: f32[32,9], %dy: f32[32,5]<n16>, %w: f32[5,9], %v: f32[5,9], %lr: f32[]) -> (f32[5,9], f32[5,9]) {
  %a, %b = kernel(%x, %dy, %w, %v, %lr) {kind = contract} {
    ^(%p: f32[32,9], %q: f32[32,5]<n16>, %r: f32[5,9], %s: f32[5,9], %l: f32[]):
      %g = matmul(%q, %p) {transpose_a = true} : f32[5,9]
      %t = add(%s, %g) : f32[5,9]
      %m = broadcast(%l) {axes = [], shape = [5,9]} : f32[5,9]
      %u = mul(%m, %t) : f32[5,9]
      %o = sub(%r, %u) : f32[5,9]
      yield %o, %t
  } : f32[5,9], f32[5,9]
  return %a, %b
})";
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test", diag);
  ASSERT_TRUE(module.has_value()) << diag.render();
  const Function &fn = *module->functions[0];
  KernelCode code;
  testing::KernelJit jit(hostCpuTarget(), [&](Emit &e) {
    KernelContext context{e, fn, fn.body().ops[0], "k"};
    code = emitContract(context);
  });
  std::vector<Buffer> buffers;
  std::vector<Floats> values;
  for (ValueId arg : fn.body().args) {
    values.push_back(randomFloats(fn.type(arg).elements(), static_cast<uint32_t>(buffers.size())));
    buffers.emplace_back(fn.type(arg));
    buffers.back().set(values.back());
  }
  std::vector<void *> pointers;
  for (Buffer &buffer : buffers)
    pointers.push_back(buffer.data());
  pointers.push_back(buffers[2].data()); // w' over w
  pointers.push_back(buffers[3].data()); // v' over v
  runSteps(jit, code, pointers, 7);
  const Floats w = buffers[2].get(), v = buffers[3].get();
  for (int64_t u = 0; u < 5; ++u)
    for (int64_t i = 0; i < 9; ++i) {
      float gradient = 0;
      for (int64_t n = 0; n < 32; ++n)
        gradient = std::fmaf(values[1][n * 5 + u], values[0][n * 9 + i], gradient);
      const float momentum = values[3][u * 9 + i] + gradient;
      const volatile float change = values[4][0] * momentum;
      EXPECT_EQ(v[u * 9 + i], momentum);
      EXPECT_EQ(w[u * 9 + i], values[2][u * 9 + i] - change);
    }
}

} // namespace
} // namespace gradc
