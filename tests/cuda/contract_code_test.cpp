// What the code of tiled kernels takes on each architecture, as their cubins say: no spilled register, blocks enough on a
// multiprocessor, and few reads of shared memory for each multiply-add.
#include <algorithm>

#include "codegen/cuda/cubin.h"
#include "tests/cuda/kernel_on_device.h"

namespace gradc {
namespace {

using namespace gradc::testing;

class CudaContractCode : public ::testing::Test {
protected:
  void SetUp() override {
    if (StatusOr<const Nvrtc *> nvrtc = Nvrtc::load(); !nvrtc)
      GTEST_SKIP() << nvrtc.error().text;
  }
};

struct Compiled {
  CudaKernelCode code;
  std::vector<CubinKernel> kernels; // of each step
};

/// With the tile in place of the schedule's choice; empty: the choice.
Compiled compiled(const std::string &text, const CudaTarget &target, const std::string &tile = "",
                  const std::string &options = "") {
  std::string scheduled =
      print(modulePassed(text, "fuse,outline,schedule-cuda{library=never" + options + "}"));
  if (const size_t at = scheduled.find("tile = [") + 7; !tile.empty())
    scheduled.replace(at, scheduled.find(']', at) + 1 - at, tile);
  const Module module = modulePassed(scheduled, "");
  const Function &fn = *module.functions[0];
  Compiled result{emitCudaKernel(fn, fn.body().ops[0], target, "kernel"), {}};
  StatusOr<CudaCode> cubin =
      (*Nvrtc::load())
          ->compile(programText(result.code, target), "kernel.cu", target.architecture, CudaCodeForm::Cubin);
  if (!cubin) {
    ADD_FAILURE() << cubin.error().text;
    return result;
  }
  EXPECT_EQ(cubin->log, "");
  StatusOr<std::vector<CubinKernel>> kernels = readCubin(cubin->bytes);
  EXPECT_TRUE(kernels) << kernels.error().text;
  result.kernels = *kernels;
  return result;
}

void expectLean(const Compiled &c, const CudaTarget &target, int blocks, int64_t stackBytes = 0) {
  for (const CubinKernel &kernel : c.kernels) {
    EXPECT_LE(kernel.stackBytes, stackBytes) << kernel.name;
    EXPECT_LE(kernel.count({kSassLdl, kSassStl}), stackBytes / 4) << kernel.name;
    int64_t shared = 0;
    for (const CudaStep &step : c.code.steps)
      if (kernel.name == "launch_" + step.symbol)
        shared = step.sharedBytes;
    EXPECT_GE(residentBlocks(target, kernel, kCudaThreads, shared), blocks)
        << kernel.name << ": " << kernel.registers << " registers, " << shared << " bytes shared";
  }
}

const char *const kMatmul = "func @f(%a: f32[2048,2048], %b: f32[2048,2048]) -> f32[2048,2048] {\n"
                            "  %c = matmul(%a, %b) {transpose_b = true}\n  return %c\n}\n";

TEST_F(CudaContractCode, MultipliesMoreThanItReads) {
  struct Bound {
    const char *tile;
    int threadRows, threadColumns, blocks;
  };
  for (const CudaTarget &target : cudaTargets())
    for (const auto &[tile, rows, columns, blocks] :
         {Bound{"[128,128]", 8, 8, 1}, Bound{"[64,128]", 4, 8, 2}, Bound{"[64,64]", 4, 4, 2},
          Bound{"[32,64]", 2, 4, 2}, Bound{"[32,32]", 2, 2, 3}}) {
      SCOPED_TRACE(target.name() + " " + tile);
      const Compiled c = compiled(kMatmul, target, tile);
      expectLean(c, target, blocks);
      const int64_t multiplied = c.kernels.at(0).count({kSassFfma}), read = c.kernels.at(0).count({kSassLds});
      EXPECT_GE(multiplied, 16 * rows * columns); // a slab, unrolled
      // Two or four neighbours a read; and what the epilogue reads.
      const int reads = (rows > 4 ? 2 : 1) + (columns > 4 ? 2 : 1);
      EXPECT_LE(read, 16 * reads + 12);
    }
}

TEST_F(CudaContractCode, ConvolutionsSpillNothing) {
  const char *const kernels[] = {"func @f(%x: f32[32,64,32,32], %w: f32[64,64,3,3]) -> f32[32,64,32,32] {\n"
                                 "  %c = conv2d(%x, %w) {padding = [1,1,1,1]}\n  return %c\n}\n",
                                 "func @f(%y: f32[32,128,16,16], %w: f32[128,64,3,3]) -> f32[32,64,32,32] {\n"
                                 "  %c = conv2d_grad_input(%y, %w) {input = [32,32], stride = [2,2], padding "
                                 "= [1,1,1,1]}\n  return %c\n}\n",
                                 "func @f(%x: f32[64,20,12,12], %y: f32[64,50,8,8]) -> f32[50,20,5,5] {\n"
                                 "  %c = conv2d_grad_weight(%x, %y) {kernel = [5,5]}\n  return %c\n}\n"};
  for (const CudaTarget &target : cudaTargets())
    for (const char *kernel : kernels) {
      SCOPED_TRACE(target.name() + "\n" + kernel);
      expectLean(compiled(kernel, target, "[64,128]"), target, 1);
    }
}

/// Slabs of one tap each, and no second way for slabs that hold absent ones.
TEST_F(CudaContractCode, DeepConvolutionsMultiplyOneWay) {
  const char *const kernels[] = {"func @f(%x: f32[32,512,4,4], %w: f32[64,512,3,3]) -> f32[32,64,4,4] {\n"
                                 "  %c = conv2d(%x, %w) {padding = [1,1,1,1]}\n  return %c\n}\n",
                                 "func @f(%y: f32[32,512,4,4], %w: f32[512,64,3,3]) -> f32[32,64,4,4] {\n"
                                 "  %c = conv2d_grad_input(%y, %w) {input = [4,4], padding = [1,1,1,1]}\n"
                                 "  return %c\n}\n"};
  for (const CudaTarget &target : cudaTargets())
    for (const char *kernel : kernels) {
      SCOPED_TRACE(target.name() + "\n" + kernel);
      const Compiled c = compiled(kernel, target, "[32,64]");
      expectLean(c, target, 1);
      int64_t multiplied = 0; // not by the kernel that packs filters
      for (const CubinKernel &step : c.kernels)
        multiplied += step.count({kSassFfma});
      EXPECT_EQ(multiplied, 16 * 2 * 4); // a slab, unrolled
    }
}

TEST_F(CudaContractCode, PendingSumsStayInRegisters) {
  const std::string text =
      "func @f(%x: f32[32,256,8,8], %y: f32[32,256,8,8]) -> f32[256,256,3,3] {\n"
      "  %c = conv2d_grad_weight(%x, %y) {kernel = [3,3], padding = [1,1,1,1]}\n  return %c\n}\n";
  for (const CudaTarget &target : cudaTargets()) {
    SCOPED_TRACE(target.name());
    const Compiled c = compiled(text, target);
    EXPECT_EQ(c.kernels.size(), 1u);
    expectLean(c, target, 1);
  }
}

TEST_F(CudaContractCode, TensorCoresAreUsed) {
  for (const CudaTarget &target : cudaTargets())
    for (const char *precision : {"tf32", "bf16", "f16"}) {
      if (target.architecture < 80 && precision != std::string("f16"))
        continue;
      SCOPED_TRACE(target.name() + " " + precision);
      const Compiled c =
          compiled(kMatmul, target, "[64,64]",
                   fmt::format(",precision={},architecture={}", precision, target.architecture));
      expectLean(c, target, 2);
      const int deep = precision == std::string("tf32") || target.architecture < 80 ? 8 : 16;
      const auto product = std::ranges::find_if(
          c.kernels, [](const CubinKernel &kernel) { return kernel.count({kSassHmma}) > 0; });
      ASSERT_NE(product, c.kernels.end());
      EXPECT_EQ(product->count({kSassFfma}), 0);
      EXPECT_GE(product->count({kSassHmma}), 4 * 16 / deep); // 16 rows by 32 columns of a warp
    }
}

// The gradient for filters, which alone may have a stack, has 8 bytes of it.
TEST_F(CudaContractCode, LargeTensorTilesSpillNoSums) {
  const char *const kernels[] = {
      "func @f(%x: f32[32,512,4,4], %w: f32[512,512,3,3]) -> f32[32,512,4,4] {\n"
      "  %c = conv2d(%x, %w) {padding = [1,1,1,1]}\n  return %c\n}\n",
      "func @f(%x: f32[32,512,4,4], %y: f32[32,512,4,4]) -> f32[512,512,3,3] {\n"
      "  %c = conv2d_grad_weight(%x, %y) {kernel = [3,3], padding = [1,1,1,1]}\n  return %c\n}\n",
      "func @f(%a: f32[2048,512], %b: f32[512,256], %r: f32[2048,256]) -> f32[2048,256] {\n"
      "  %c = matmul(%a, %b)\n  %d = add(%c, %r)\n  return %d\n}\n"};
  for (const CudaTarget &target : cudaTargets())
    for (const char *kernel : kernels) {
      if (target.architecture < 80)
        continue;
      SCOPED_TRACE(target.name() + "\n" + kernel);
      expectLean(compiled(kernel, target, "[128,128]", ",precision=tf32"), target, 1, 8);
    }
}

} // namespace
} // namespace gradc
