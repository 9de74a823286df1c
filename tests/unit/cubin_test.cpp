#include "codegen/cuda/cubin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/cuda/nvrtc.h"

namespace gradc {
namespace {

constexpr const char *kKernels = R"(
extern "C" __global__ void __launch_bounds__(256) scale(const float *x, float *y) {
  y[blockIdx.x * 256 + threadIdx.x] = fmaf(x[threadIdx.x], x[blockIdx.x], y[threadIdx.x]);
}
extern "C" __global__ void __launch_bounds__(256) turn(const float *x, float *y) {
  __shared__ float tile[1024];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[255 - threadIdx.x];
})";

TEST(Cubin, SaysWhatItsKernelsTake) {
  StatusOr<const Nvrtc *> nvrtc = Nvrtc::load();
  if (!nvrtc)
    GTEST_SKIP() << nvrtc.error().text;
  for (const CudaTarget &target : cudaTargets()) {
    if (!(*nvrtc)->check(target.architecture).ok())
      continue;
    StatusOr<CudaCode> code = (*nvrtc)->compile(kKernels, "k.cu", target.architecture, CudaCodeForm::Cubin);
    ASSERT_TRUE(code) << code.error().text;
    StatusOr<std::vector<CubinKernel>> kernels = readCubin(code->bytes);
    ASSERT_TRUE(kernels) << kernels.error().text;
    ASSERT_EQ(kernels->size(), 2u);
    for (const CubinKernel &kernel : *kernels) {
      EXPECT_GT(kernel.registers, 0) << target.name();
      EXPECT_LE(kernel.registers, 64);
      EXPECT_EQ(kernel.stackBytes, 0);
      EXPECT_GT(kernel.instructions, 8);
      EXPECT_EQ(kernel.count({kSassLdl, kSassStl}), 0);
      const bool turn = kernel.name == "turn";
      EXPECT_EQ(kernel.count({kSassBar}), turn ? 1 : 0) << target.name();
      EXPECT_EQ(kernel.count({kSassSts}), turn ? 1 : 0);
      EXPECT_EQ(kernel.count({kSassFfma}), turn ? 0 : 1);
      EXPECT_GE(kernel.sharedBytes, turn ? 4096 : 0);
      EXPECT_LE(kernel.sharedBytes, turn ? 4096 + 1024 : 1024);
      EXPECT_GE(residentBlocks(target, kernel, 256, 0), 4);
    }
  }
}

TEST(Cubin, RefusesWhatIsNone) {
  EXPECT_THAT(readCubin("\177ELF").error().text,
              testing::HasSubstr("what NVRTC made is no ELF file, or one that is cut off"));
  EXPECT_FALSE(readCubin("text"));
}

/// As cuda_occupancy.h says for the same numbers.
TEST(Occupancy, IsWhatTheScarcestAllows) {
  const CudaTarget a100 = *parseCudaTarget("sm_80"), t4 = *parseCudaTarget("sm_75");
  CubinKernel kernel{.registers = 63, .sharedBytes = 8448};
  EXPECT_EQ(residentBlocks(a100, kernel, 256, 0), 4);
  EXPECT_DOUBLE_EQ(occupancy(a100, 4, 256), 0.5);
  kernel.registers = 65; // one more costs a block
  EXPECT_EQ(residentBlocks(a100, kernel, 256, 0), 3);
  kernel = {.registers = 32};
  EXPECT_EQ(residentBlocks(a100, kernel, 256, 96 << 10), 1);
  EXPECT_EQ(residentBlocks(t4, kernel, 256, 96 << 10), 0); // cannot run
  EXPECT_EQ(residentBlocks(a100, kernel, 256, 0), 8);
}

} // namespace
} // namespace gradc
