// Products and convolutions on the simulated device have the bits that the CPU's direct algorithm has, whatever the
// shape, the tile and the architecture.
#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include <gmock/gmock.h>

#include "tests/cuda/kernel_on_device.h"

namespace gradc {
namespace {

using namespace gradc::testing;

constexpr int kArchitectures[] = {75, 80, 90, 100};

class CudaContract : public ::testing::Test {
protected:
  void SetUp() override {
    if (StatusOr<const Nvrtc *> nvrtc = Nvrtc::load(); !nvrtc)
      GTEST_SKIP() << nvrtc.error().text;
  }
};

std::vector<Tensor> argumentsOf(const Module &module) {
  const Function &fn = *module.functions[0];
  std::vector<Tensor> arguments;
  for (ValueId arg : fn.body().args)
    arguments.push_back(randomTensor(fn.type(arg), static_cast<uint32_t>(arguments.size()) * 977 + 13));
  return arguments;
}

/// On every architecture; returns what the last one counted.
std::vector<cudasim::Counters> expectBitsOfCpu(const std::string &text, const std::string &form,
                                               const std::string &options = "", bool schedule = true) {
  SCOPED_TRACE(text);
  const std::string kernels = schedule ? "expand,fuse,outline" : "";
  const Module plain = modulePassed(text, kernels);
  const Module scheduled = schedule
                               ? modulePassed(text, kernels + ",schedule-cuda{library=never" + options + "}")
                               : modulePassed(text, "");
  EXPECT_EQ(scheduled.functions[0]->body().ops.size(), 1u);
  EXPECT_THAT(print(scheduled), ::testing::HasSubstr("form = " + form));
  const std::vector<Tensor> arguments = argumentsOf(plain);
  const std::vector<Tensor> expected = runKernel(plain, *parseCpuTarget("native"), arguments);
  std::vector<cudasim::Counters> counters;
  for (int architecture : kArchitectures) {
    SCOPED_TRACE(architecture);
    DeviceRun run = runOnDevice(scheduled, architecture, arguments);
    if (run.results.empty())
      return {};
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(run.results[i] == expected[i])
          << "result " << i << ": " << run.results[i].get(0) << " for " << expected[i].get(0);
    counters = run.counters;
    for (const cudasim::Counters &c : counters)
      EXPECT_EQ(c.sharedReplays, 0u);
  }
  return counters;
}

std::string matmul(int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  return fmt::format("func @f(%a: f32[{}], %b: f32[{}]) -> f32[{},{}] {{\n  %c = matmul(%a, %b) "
                     "{{transpose_a = {}, transpose_b = {}}}\n  return %c\n}}\n",
                     ta ? fmt::format("{},{}", k, m) : fmt::format("{},{}", m, k),
                     tb ? fmt::format("{},{}", n, k) : fmt::format("{},{}", k, n), m, n, ta, tb);
}

TEST_F(CudaContract, ProductsOfAllTranspositions) {
  for (bool ta : {false, true})
    for (bool tb : {false, true}) {
      expectBitsOfCpu(matmul(33, 31, 35, ta, tb), "tiles");
      expectBitsOfCpu(matmul(64, 96, 48, ta, tb), "tiles");
    }
}

/// Segments of the depth, in tiles and an element a thread.
TEST_F(CudaContract, ProductsInSegments) {
  expectBitsOfCpu(matmul(20, 260, 1024, false, false), "tiles");
  std::string text = print(modulePassed(matmul(9, 513, 512, false, false), "outline,schedule-cuda"));
  text.replace(text.find("form = tiles"), std::string_view("form = tiles").size(), "form = elements");
  expectBitsOfCpu(text, "elements", "", false);
}

TEST_F(CudaContract, ProductsOfOddShapes) {
  expectBitsOfCpu(matmul(1, 1, 1, false, false), "tiles");
  expectBitsOfCpu(matmul(1, 65, 17, false, false), "tiles");
  expectBitsOfCpu(matmul(65, 1, 16, false, true), "tiles");
  expectBitsOfCpu(matmul(10, 100, 3, true, false), "tiles");
}

TEST_F(CudaContract, ProductsOfEveryTile) {
  // Every tile is right for every shape: the schedule's choice is overwritten.
  for (const char *tile : {"[128,128]", "[64,128]", "[64,64]", "[32,64]", "[32,32]"})
    for (bool transposed : {false, true}) {
      std::string text = print(
          modulePassed(matmul(70, 133, 37, transposed, transposed), "outline,schedule-cuda{library=never}"));
      text.replace(text.find("tile = [") + 7,
                   text.find(']', text.find("tile = [")) + 1 - text.find("tile = [") - 7, tile);
      expectBitsOfCpu(text, fmt::format("tiles, tile = {}", tile), "", false);
    }
}

TEST_F(CudaContract, BatchesAndSharedMatrices) {
  expectBitsOfCpu("func @f(%a: f32[3,2,33,17], %b: f32[3,2,20,17]) -> f32[3,2,33,20] {\n  %c = matmul(%a, "
                  "%b) {transpose_b = true}\n  return %c\n}\n",
                  "tiles");
  expectBitsOfCpu(
      "func @f(%a: f32[3,12,24], %b: f32[24,40]) -> f32[3,12,40] {\n  %c = matmul(%a, %b)\n  return %c\n}\n",
      "tiles");
}

std::string conv(const std::string &op, const std::string &a, const std::string &b, const std::string &result,
                 const std::string &attrs) {
  return fmt::format(
      "func @f(%a: f32[{}], %b: f32[{}]) -> f32[{}] {{\n  %c = {}(%a, %b) {{{}}}\n  return %c\n}}\n", a, b,
      result, op, attrs);
}

TEST_F(CudaContract, Convolutions) {
  expectBitsOfCpu(conv("conv2d", "2,1,12,12", "20,1,5,5", "2,20,8,8", ""), "tiles");
  expectBitsOfCpu(conv("conv2d", "3,20,9,11", "33,20,3,3", "3,33,9,11", "padding = [1,1,1,1]"), "tiles");
  expectBitsOfCpu(conv("conv2d", "2,3,15,13", "31,3,4,3", "2,31,7,7", "stride = [2,2], padding = [1,1,1,1]"),
                  "tiles");
  expectBitsOfCpu(conv("conv2d", "1,16,8,8", "24,16,1,1", "1,24,8,8", ""), "tiles");
  expectBitsOfCpu(conv("conv2d", "2,8,9,9", "12,4,3,3", "2,12,5,5", "dilation = [2,2], groups = 2"), "tiles");
}

// Of 16 · n channels each slab is of one tap, which masks say a pixel has; of more taps than a mask holds, holes do.
TEST_F(CudaContract, SlabsOfOneTap) {
  expectBitsOfCpu(conv("conv2d", "3,16,9,11", "33,16,3,3", "3,33,9,11", "padding = [1,1,1,1]"), "tiles");
  expectBitsOfCpu(
      conv("conv2d", "2,32,15,13", "31,32,3,3", "2,31,8,7", "stride = [2,2], padding = [1,1,1,1]"), "tiles");
  expectBitsOfCpu(conv("conv2d", "2,32,9,9", "24,16,3,3", "2,24,9,9",
                       "dilation = [2,2], groups = 2, padding = [2,2,2,2]"),
                  "tiles");
  expectBitsOfCpu(conv("conv2d", "1,16,9,9", "8,16,5,5", "1,8,9,9", "padding = [2,2,2,2]"), "tiles");
  expectBitsOfCpu(conv("conv2d", "1,16,9,9", "8,16,7,7", "1,8,9,9", "padding = [3,3,3,3]"), "tiles");
  expectBitsOfCpu(
      conv("conv2d_grad_input", "3,32,9,11", "32,20,3,3", "3,20,9,11", "input = [9,11], padding = [1,1,1,1]"),
      "tiles");
  expectBitsOfCpu(conv("conv2d_grad_input", "2,32,8,7", "32,16,3,3", "2,16,15,13",
                       "input = [15,13], stride = [2,2], padding = [1,1,1,1]"),
                  "tiles");
}

// The pixels of a slab are a part of a row, or whole rows.
TEST_F(CudaContract, GradientsOfFiltersWhosePixelsFillSlabs) {
  const std::string padded = "kernel = [3,3], padding = [1,1,1,1]";
  expectBitsOfCpu(conv("conv2d_grad_weight", "20,5,4,4", "20,6,4,4", "6,5,3,3", padded), "tiles");
  expectBitsOfCpu(conv("conv2d_grad_weight", "16,5,8,8", "16,6,8,8", "6,5,3,3", padded), "tiles");
  expectBitsOfCpu(conv("conv2d_grad_weight", "17,2,3,32", "17,3,3,32", "3,2,3,3", padded), "tiles");
  expectBitsOfCpu(conv("conv2d_grad_weight", "16,3,16,8", "16,4,8,4", "4,3,3,3", padded + ", stride = [2,2]"),
                  "tiles");
}

TEST_F(CudaContract, GradientsOfImages) {
  expectBitsOfCpu(conv("conv2d_grad_input", "2,50,8,8", "50,20,5,5", "2,20,12,12", "input = [12,12]"),
                  "tiles");
  expectBitsOfCpu(
      conv("conv2d_grad_input", "3,33,9,11", "33,20,3,3", "3,20,9,11", "input = [9,11], padding = [1,1,1,1]"),
      "tiles");
  expectBitsOfCpu(conv("conv2d_grad_input", "2,31,7,7", "31,3,4,3", "2,3,15,13",
                       "input = [15,13], stride = [2,2], padding = [1,1,1,1]"),
                  "tiles");
  expectBitsOfCpu(conv("conv2d_grad_input", "2,12,5,5", "12,4,3,3", "2,8,9,9",
                       "input = [9,9], dilation = [2,2], groups = 2"),
                  "tiles");
}

// A product for each phase of pixels; some meet no tap at all.
TEST_F(CudaContract, GradientsOfStridedConvolutions) {
  expectBitsOfCpu(
      conv("conv2d_grad_input", "2,24,8,8", "24,16,1,1", "2,16,16,16", "input = [16,16], stride = [2,2]"),
      "tiles");
  expectBitsOfCpu(conv("conv2d_grad_input", "2,9,5,9", "9,5,2,3", "2,5,15,9",
                       "input = [15,9], stride = [3,1], padding = [0,0,1,1]"),
                  "tiles");
  expectBitsOfCpu(conv("conv2d_grad_input", "1,12,4,6", "12,4,3,3", "1,8,11,13",
                       "input = [11,13], stride = [2,2], dilation = [2,1], groups = 2"),
                  "tiles");
  // Phases of 136 blocks and of fewer blocks than there are multiprocessors share a block's memory.
  expectBitsOfCpu(
      conv("conv2d_grad_input", "68,64,7,7", "64,32,3,3", "68,32,15,15", "input = [15,15], stride = [2,2]"),
      "tiles");
}

// Neighbours in memory are copied side by side: 4 sectors for 32 numbers, 5 where rows begin anywhere. A request that
// steps over every other pixel touches twice as many.
TEST_F(CudaContract, FactorsAreReadSideBySide) {
  auto sectors = [](const std::string &text) {
    uint64_t read = 0, bytes = 0;
    for (const cudasim::Counters &c : expectBitsOfCpu(text, "tiles")) {
      read += c.globalLoadSectors;
      bytes += c.globalLoadBytes;
    }
    return 128 * static_cast<double>(read) / static_cast<double>(bytes);
  };
  const std::string padded = "padding = [1,1,1,1]";
  // LeNet's layers
  EXPECT_LE(sectors(conv("conv2d", "2,1,28,28", "20,1,5,5", "2,20,24,24", "")), 5);
  EXPECT_LE(sectors(conv("conv2d", "8,20,12,12", "50,20,5,5", "8,50,8,8", "")), 5);
  EXPECT_LE(sectors(conv("conv2d_grad_input", "2,50,8,8", "50,20,5,5", "2,20,12,12", "input = [12,12]")), 5);
  EXPECT_LE(sectors(conv("conv2d_grad_weight", "16,20,12,12", "16,50,8,8", "50,20,5,5", "kernel = [5,5]")),
            5);
  EXPECT_LE(sectors(conv("conv2d_grad_weight", "16,1,28,28", "16,20,24,24", "20,1,5,5", "kernel = [5,5]")),
            5);
  // of VGG and ResNet
  EXPECT_LE(sectors(conv("conv2d", "2,32,16,16", "32,32,3,3", "2,32,16,16", padded)), 5);
  EXPECT_LE(sectors(conv("conv2d", "8,32,4,4", "32,32,3,3", "8,32,4,4", padded)), 5);
  EXPECT_LE(
      sectors(conv("conv2d_grad_input", "2,32,8,8", "32,16,3,3", "2,16,8,8", "input = [8,8], " + padded)), 5);
  EXPECT_LE(
      sectors(conv("conv2d_grad_weight", "16,16,8,8", "16,32,8,8", "32,16,3,3", "kernel = [3,3], " + padded)),
      5);
  EXPECT_LE(sectors(conv("conv2d", "2,32,14,14", "32,32,1,1", "2,32,14,14", "")), 5);
  EXPECT_LE(sectors(conv("conv2d_grad_input", "2,32,14,14", "32,32,1,1", "2,32,14,14", "input = [14,14]")),
            5);
  EXPECT_LE(sectors(conv("conv2d", "2,32,16,16", "32,32,3,3", "2,32,8,8", "stride = [2,2], " + padded)), 8);
  EXPECT_LE(sectors(matmul(33, 64, 104, false, true)), 5);
  EXPECT_LE(sectors(matmul(64, 33, 104, true, false)), 5);
}

TEST_F(CudaContract, GradientsOfFilters) {
  expectBitsOfCpu(conv("conv2d_grad_weight", "16,1,12,12", "16,20,8,8", "20,1,5,5", "kernel = [5,5]"),
                  "tiles");
  expectBitsOfCpu(
      conv("conv2d_grad_weight", "32,4,7,9", "32,33,7,9", "33,4,3,3", "kernel = [3,3], padding = [1,1,1,1]"),
      "tiles");
  // A batch that fills no block of 16: the other lanes take +0.
  expectBitsOfCpu(
      conv("conv2d_grad_weight", "5,3,9,9", "5,8,4,4", "8,3,3,3", "kernel = [3,3], stride = [2,2]"), "tiles");
  // Taps in the padding, too.
  expectBitsOfCpu(
      conv("conv2d_grad_weight", "5,4,7,9", "5,33,7,9", "33,4,3,3", "kernel = [3,3], padding = [1,1,1,1]"),
      "tiles");
  expectBitsOfCpu(conv("conv2d_grad_weight", "17,8,9,9", "17,12,5,5", "12,4,3,3",
                       "kernel = [3,3], dilation = [2,2], groups = 2"),
                  "tiles");
}

// Filters that are an argument are packed; what another kernel makes is read as it lies, where that takes less time.
TEST_F(CudaContract, FiltersAsTheyLie) {
  for (const std::string &text :
       {conv("conv2d", "3,20,9,11", "33,20,3,3", "3,33,9,11", "padding = [1,1,1,1]"),
        conv("conv2d", "2,8,9,9", "10,4,3,3", "2,10,5,5", "dilation = [2,2], groups = 2"),
        conv("conv2d_grad_input", "2,31,7,7", "31,3,4,3", "2,3,15,13",
             "input = [15,13], stride = [2,2], padding = [1,1,1,1]"),
        conv("conv2d_grad_input", "2,12,5,5", "12,6,3,3", "2,12,9,9",
             "input = [9,9], dilation = [2,2], groups = 2")}) {
    EXPECT_EQ(expectBitsOfCpu(text, "tiles").size(), 2u);
    std::string plain = print(modulePassed(text, "outline,schedule-cuda"));
    const std::string_view pack = ", pack = true";
    ASSERT_NE(plain.find(pack), std::string::npos);
    plain.erase(plain.find(pack), pack.size());
    EXPECT_EQ(expectBitsOfCpu(plain, "tiles", "", false).size(), 1u);
  }
}

// A block makes the partial sums in turn and adds them by the tree that the second step has.
TEST_F(CudaContract, PartialSumsInTurn) {
  for (const std::string &text :
       {conv("conv2d_grad_weight", "32,40,7,9", "32,33,7,9", "33,40,3,3",
             "kernel = [3,3], padding = [1,1,1,1]"),
        conv("conv2d_grad_weight", "17,80,5,5", "17,66,3,3", "66,40,3,3", "kernel = [3,3], groups = 2")}) {
    std::string inTurn = print(modulePassed(text, "outline,schedule-cuda"));
    const size_t tile = inTurn.find("tile = [");
    inTurn.replace(tile, inTurn.find(", threads") - tile, "tile = [64,64], in_turn = true");
    EXPECT_EQ(expectBitsOfCpu(inTurn, "tiles", "", false).size(), 1u);
  }
}

// An absent tap is skipped, not multiplied by zero: infinite weights leave the border's other taps alone.
TEST_F(CudaContract, AbsentTapsTouchNothing) {
  const std::string text = conv("conv2d", "1,4,5,5", "8,4,3,3", "1,8,5,5", "padding = [1,1,1,1]");
  const Module plain = modulePassed(text, "outline"), scheduled = modulePassed(text, "outline,schedule-cuda");
  std::vector<Tensor> arguments = argumentsOf(plain);
  for (int64_t i = 0; i < arguments[1].elements(); i += 9)
    arguments[1].set(i, INFINITY); // the first tap of each filter
  const std::vector<Tensor> expected = runKernel(plain, *parseCpuTarget("native"), arguments);
  EXPECT_TRUE(std::isfinite(expected[0].get(0)));
  for (int architecture : kArchitectures)
    EXPECT_TRUE(runOnDevice(scheduled, architecture, arguments).results[0] == expected[0]);
}

TEST_F(CudaContract, WhatFollowsAProductIsFused) {
  expectBitsOfCpu(
      "func @f(%x: f32[33,35], %w: f32[31,35], %b: f32[31], %m: f32[33,31]) -> f32[33,31] {\n"
      "  %c = matmul(%x, %w) {transpose_b = true}\n  %d = broadcast(%b) {axes = [1], shape = [33,31]}\n"
      "  %e = add(%c, %d)\n  %r = gelu(%e)\n  %s = mul(%r, %m)\n  return %s\n}\n",
      "tiles");
  // The update of a parameter with momentum: two results.
  expectBitsOfCpu(
      "func @f(%x: f32[16,3,9,9], %dy: f32[16,20,7,7], %w: f32[20,3,3,3], %v: f32[20,3,3,3], %l: f32[]) -> "
      "(f32[20,3,3,3], f32[20,3,3,3]) {\n"
      "  %g = conv2d_grad_weight(%x, %dy) {kernel = [3,3]}\n  %m = mul(%v, %w)\n  %n = add(%g, %m)\n"
      "  %r = broadcast(%l) {axes = [], shape = [20,3,3,3]}\n  %s = mul(%r, %n)\n  %u = sub(%w, %s)\n  "
      "return %n, %u\n}\n",
      "tiles");
  expectBitsOfCpu(
      "func @f(%x: f32[2,4,9,9], %w: f32[12,4,3,3], %b: f32[12], %y: f32[2,12,9,9]) -> f32[2,12,9,9] {\n"
      "  %c = conv2d(%x, %w) {padding = [1,1,1,1]}\n  %d = broadcast(%b) {axes = [1], shape = [2,12,9,9]}\n"
      "  %e = add(%c, %d)\n  %r = relu(%e)\n  %s = add(%r, %y)\n  return %s\n}\n",
      "tiles");
}

TEST_F(CudaContract, DotProductsOfFewRows) {
  expectBitsOfCpu(matmul(1, 33, 784, false, true), "dots");
  expectBitsOfCpu(matmul(8, 16, 32, false, true), "dots");
  expectBitsOfCpu(matmul(5, 1, 45, false, true), "dots");
  expectBitsOfCpu(
      "func @f(%x: f32[3,50], %w: f32[20,50], %b: f32[20]) -> f32[3,20] {\n"
      "  %c = matmul(%x, %w) {transpose_b = true}\n  %d = broadcast(%b) {axes = [1], shape = [3,20]}\n"
      "  %e = add(%c, %d)\n  %r = relu(%e)\n  return %r\n}\n",
      "dots");
}

// ---- the library

CudaKernelCode libraryCode(const std::string &text, const std::string &options = "") {
  const Module module =
      modulePassed(text, "expand,fuse,outline,schedule-cuda{library=always" + options + "}");
  const Function &fn = *module.functions[0];
  return emitCudaKernel(fn, fn.body().ops[0], *parseCudaTarget("sm_90"), "kernel");
}

std::string dense(const std::string &after, const std::string &result = "%r") {
  return "func @f(%x: f32[64,784], %w: f32[512,784], %b: f32[512]) -> f32[64,512] {\n"
         "  %c = matmul(%x, %w) {transpose_b = true}\n  %d = broadcast(%b) {axes = [1], shape = [64,512]}\n" +
         after + "  return " + result + "\n}\n";
}

TEST(CudaLibrary, ACallSaysHowMatricesLie) {
  const CudaKernelCode code = libraryCode("func @f(%a: f32[3,20,40], %b: f32[3,30,20]) -> f32[3,40,30] {\n  "
                                          "%c = matmul(%a, %b) {transpose_a = true, "
                                          "transpose_b = true}\n  return %c\n}\n",
                                          ",precision=tf32");
  ASSERT_EQ(code.steps.size(), 1u);
  EXPECT_EQ(code.workspaceBytes, 0);
  EXPECT_EQ(code.steps[0].symbol, "");
  EXPECT_EQ(code.steps[0].buffers, (std::vector{0, 1, 2}));
  const gradc_cuda_product &p = code.steps[0].product.value();
  EXPECT_EQ((std::vector{p.m, p.n, p.k, p.batch}), (std::vector<int64_t>{40, 30, 20, 3}));
  EXPECT_EQ((std::vector{p.stride_a, p.stride_b, p.stride_c}), (std::vector<int64_t>{800, 600, 1200}));
  EXPECT_TRUE(p.transpose_a && p.transpose_b);
  EXPECT_EQ(p.compute, GRADC_CUDA_COMPUTE_TF32);
  EXPECT_EQ(p.epilogue, GRADC_CUDA_EPILOGUE_NONE);
}

TEST(CudaLibrary, ACallSaysWhatFactorsMayBeRoundedTo) {
  auto compute = [](const char *options) {
    return libraryCode(dense("  %r = add(%c, %d)\n"), options).steps.at(0).product->compute;
  };
  EXPECT_EQ(compute(""), GRADC_CUDA_COMPUTE_F32);
  EXPECT_EQ(compute(",precision=tf32"), GRADC_CUDA_COMPUTE_TF32);
  EXPECT_EQ(compute(",precision=bf16"), GRADC_CUDA_COMPUTE_BF16);
  EXPECT_EQ(compute(",precision=f16,architecture=75"), GRADC_CUDA_COMPUTE_F16);
  EXPECT_EQ(compute(",precision=bf16,architecture=75"), GRADC_CUDA_COMPUTE_F32) << "no such tensor cores";
}

TEST(CudaLibrary, ASharedMatrixMakesOneProductOfAllRows) {
  const CudaKernelCode code = libraryCode(
      "func @f(%a: f32[3,20,40], %b: f32[40,30]) -> f32[3,20,30] {\n  %c = matmul(%a, %b)\n  return %c\n}\n");
  const gradc_cuda_product &p = code.steps[0].product.value();
  EXPECT_EQ((std::vector{p.m, p.n, p.k, p.batch}), (std::vector<int64_t>{60, 30, 40, 1}));
  EXPECT_EQ(p.compute, GRADC_CUDA_COMPUTE_F32);
}

TEST(CudaLibrary, WhatItsEpiloguesCanDoIsOneCall) {
  auto epilogue = [](const std::string &text) {
    const CudaKernelCode code = libraryCode(text);
    EXPECT_EQ(code.steps.size(), 1u);
    EXPECT_EQ(code.steps[0].buffers, (std::vector{0, 1, 3, 2})) << "the bias comes last";
    return code.steps[0].product->epilogue;
  };
  EXPECT_EQ(epilogue(dense("  %r = add(%c, %d)\n")), GRADC_CUDA_EPILOGUE_BIAS);
  EXPECT_EQ(epilogue(dense("  %e = add(%d, %c)\n  %r = relu(%e)\n")), GRADC_CUDA_EPILOGUE_RELU_BIAS);
  EXPECT_EQ(epilogue(dense("  %e = add(%c, %d)\n  %r = gelu(%e) {approximate = tanh}\n")),
            GRADC_CUDA_EPILOGUE_GELU_BIAS);
}

TEST(CudaLibrary, TheRestIsOneKernelAfterIt) {
  for (const std::string &text :
       {dense("  %e = add(%c, %d)\n  %r = gelu(%e)\n"), dense("  %r = mul(%c, %d)\n"),
        dense("  %e = add(%c, %d)\n  %r = add(%e, %c)\n")}) {
    const CudaKernelCode code = libraryCode(text);
    ASSERT_EQ(code.steps.size(), 2u) << text;
    EXPECT_EQ(code.workspaceBytes, 64 * 512 * 4);
    EXPECT_EQ(code.steps[0].buffers, (std::vector{0, 1, 4})) << "into the workspace";
    EXPECT_EQ(code.steps[0].product->epilogue, GRADC_CUDA_EPILOGUE_NONE);
    EXPECT_FALSE(code.steps[1].product);
    EXPECT_EQ(code.steps[1].blocks, 128);
  }
}

// ---- tensor cores: factors are rounded, products summed in f32

double roundedTo(const std::string &format, double value) {
  const auto x = static_cast<float>(value);
  if (format == "bf16")
    return floatFromBf16(bf16FromFloat(x));
  if (format == "f16")
    return floatFromF16(f16FromFloat(x));
  return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x1000) & ~0x1fffu); // tf32: ties away from zero
}

/// The scheduled module with its depth in so many segments.
Module splitInto(int64_t segments, const Module &scheduled) {
  std::string text = print(scheduled);
  if (const size_t chosen = text.find(", split = "); chosen != std::string::npos)
    text.erase(chosen, text.find(", threads") - chosen);
  text.insert(text.find(", threads"), fmt::format(", split = {}", segments));
  return modulePassed(text, "");
}

/// `segments`: of the depth; 0: as many as the schedule chooses.
void expectRoundedProduct(const std::string &text, const std::string &format, int64_t segments = 0) {
  SCOPED_TRACE(fmt::format("{}, {} segments\n{}", format, segments, text));
  const Module plain = modulePassed(text, "fuse,outline");
  std::vector<Tensor> arguments = argumentsOf(plain), rounded = arguments;
  for (Tensor &factor : std::span(rounded).first(2))
    for (int64_t i = 0; i < factor.elements(); ++i)
      factor.set(i, roundedTo(format, factor.get(i)));
  const std::vector<Tensor> expected = interpret(plain, *plain.functions[0], rounded);
  for (int architecture : kArchitectures) {
    if ((architecture < 80 && format != "f16") || architecture == 90) // its PTX is that of 80
      continue;
    SCOPED_TRACE(architecture);
    Module scheduled = modulePassed(
        text, fmt::format("fuse,outline,schedule-cuda{{library=never,precision={},architecture={}}}", format,
                          architecture));
    if (segments > 0)
      scheduled = splitInto(segments, scheduled);
    EXPECT_THAT(print(scheduled), ::testing::HasSubstr("algorithm = mma_" + format + ", form = tiles"));
    DeviceRun run = runOnDevice(scheduled, architecture, arguments);
    ASSERT_FALSE(run.results.empty());
    double worst = 0;
    for (size_t r = 0; r < expected.size(); ++r)
      for (int64_t i = 0; i < expected[r].elements(); ++i)
        worst = std::max(worst, std::abs(run.results[r].get(i) - expected[r].get(i)));
    EXPECT_LT(worst, 2e-5);
    const auto matrix = [](const cudasim::Counters &c) { return c.of(cudasim::OpClass::Matrix) > 0; };
    EXPECT_TRUE(std::ranges::any_of(run.counters, matrix));
    for (const cudasim::Counters &c : run.counters)
      EXPECT_EQ(c.sharedReplays, 0u);
  }
}

TEST_F(CudaContract, TensorCoresRoundTheFactorsOnly) {
  for (const char *format : {"tf32", "bf16", "f16"}) {
    expectRoundedProduct(matmul(33, 31, 35, false, true), format);
    expectRoundedProduct(matmul(70, 133, 48, true, false), format);
    expectRoundedProduct(conv("conv2d", "2,3,9,11", "20,3,3,3", "2,20,9,11", "padding = [1,1,1,1]"), format);
    expectRoundedProduct(conv("conv2d_grad_input", "2,20,5,6", "20,3,3,3", "2,3,9,11",
                              "input = [9,11], stride = [2,2], padding = [1,1,1,1]"),
                         format);
    expectRoundedProduct(conv("conv2d_grad_weight", "17,4,7,9", "17,20,7,9", "20,4,3,3",
                              "kernel = [3,3], padding = [1,1,1,1]"),
                         format);
  }
}

// Segments that are equal, that are not, and more of them than there are slabs of 16 steps; what follows the product comes
// after their sum.
TEST_F(CudaContract, TensorCoresSplitTheDepth) {
  for (int64_t segments : {2, 3, 8}) {
    expectRoundedProduct(matmul(70, 133, 64, true, false), "tf32", segments);
    expectRoundedProduct(matmul(33, 31, 83, false, true), "f16", segments);
    expectRoundedProduct(
        "func @f(%a: f32[3,33,83], %b: f32[3,20,83]) -> f32[3,33,20] {\n  %c = matmul(%a, %b) "
        "{transpose_b = true}\n  return %c\n}\n",
        "tf32", segments);
    expectRoundedProduct(conv("conv2d", "2,20,9,11", "20,20,3,3", "2,20,9,11", "padding = [1,1,1,1]"), "bf16",
                         segments);
    expectRoundedProduct(conv("conv2d", "2,16,9,9", "12,8,3,3", "2,12,5,5", "dilation = [2,2], groups = 2"),
                         "tf32", segments);
    expectRoundedProduct(conv("conv2d_grad_input", "2,20,5,6", "20,3,3,3", "2,3,9,11",
                              "input = [9,11], stride = [2,2], padding = [1,1,1,1]"),
                         "tf32", segments);
    expectRoundedProduct(conv("conv2d_grad_weight", "5,8,9,9", "5,12,5,5", "12,4,3,3",
                              "kernel = [3,3], dilation = [2,2], groups = 2"),
                         "tf32", segments);
  }
  expectRoundedProduct(
      "func @f(%x: f32[4,20,9,9], %dy: f32[4,20,7,7], %v: f32[20,20,3,3], %w: f32[20,20,3,3]) -> "
      "(f32[20,20,3,3], f32[20,20,3,3]) {\n"
      "  %g = conv2d_grad_weight(%x, %dy) {kernel = [3,3]}\n  %n = add(%g, %v)\n  %u = sub(%w, %n)\n  "
      "return %n, %u\n}\n",
      "tf32", 4);
}

// Sums of segments are added in one order: equal bits whatever the order of warps and blocks. Without tensor cores a split
// is no part of the schedule, and changes nothing.
TEST_F(CudaContract, SegmentsAddInOneOrder) {
  const std::string text = conv("conv2d", "2,20,9,11", "33,20,3,3", "2,33,9,11", "padding = [1,1,1,1]");
  const Module split =
      splitInto(4, modulePassed(text, "outline,schedule-cuda{library=never,precision=tf32}"));
  const std::vector<Tensor> arguments = argumentsOf(split);
  const DeviceRun first = runOnDevice(split, 80, arguments);
  ASSERT_FALSE(first.results.empty());
  EXPECT_EQ(first.counters.size(), 3u) << "filters, segments, their sum";
  for (uint64_t seed : {2, 3})
    EXPECT_TRUE(runOnDevice(split, 80, arguments, seed).results[0] == first.results[0]);
  const Module direct = modulePassed(text, "outline,schedule-cuda");
  EXPECT_TRUE(runOnDevice(splitInto(4, direct), 80, arguments).results[0] ==
              runOnDevice(direct, 80, arguments).results[0]);
}

TEST_F(CudaContract, TensorCoresOfEveryTile) {
  for (const char *tile : {"[128,128]", "[64,128]", "[64,64]", "[32,64]", "[32,32]"}) {
    std::string text = print(modulePassed(matmul(150, 133, 37, false, true),
                                          "outline,schedule-cuda{library=never,precision=tf32}"));
    const size_t at = text.find("tile = [") + 7;
    text.replace(at, text.find(']', at) + 1 - at, tile);
    const Module module = modulePassed(text, "");
    const std::vector<Tensor> arguments = argumentsOf(module),
                              expected = interpret(module, *module.functions[0], arguments);
    DeviceRun run = runOnDevice(module, 80, arguments);
    ASSERT_FALSE(run.results.empty());
    for (int64_t i = 0; i < expected[0].elements(); ++i)
      ASSERT_NEAR(run.results[0].get(i), expected[0].get(i), 2e-2) << tile << " " << i;
    EXPECT_EQ(run.counters[0].sharedReplays, 0u) << tile;
  }
}

} // namespace
} // namespace gradc
