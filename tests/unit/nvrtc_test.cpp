#include "codegen/cuda/nvrtc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/cuda/target.h"

namespace gradc {
namespace {

using testing::HasSubstr;
using testing::Not;

class NvrtcTest : public testing::Test {
protected:
  void SetUp() override {
    StatusOr<const Nvrtc *> loaded = Nvrtc::load();
    if (!loaded)
      GTEST_SKIP() << loaded.error().text;
    nvrtc_ = *loaded;
  }
  const Nvrtc *nvrtc_ = nullptr;
};

constexpr const char *kKernel =
    R"(extern "C" __global__ void axpy(const float *x, float *y) { y[threadIdx.x] = 2.0f * x[threadIdx.x] + y[threadIdx.x]; })";

TEST_F(NvrtcTest, MakesPtxOfEveryTarget) {
  for (const CudaTarget &target : cudaTargets()) {
    if (!nvrtc_->check(target.architecture).ok())
      continue;
    StatusOr<CudaCode> code = nvrtc_->compile(kKernel, "axpy.cu", target.architecture, CudaCodeForm::Ptx);
    ASSERT_TRUE(code) << code.error().text;
    EXPECT_THAT(code->bytes, HasSubstr(".target " + target.name()));
    EXPECT_THAT(code->bytes, Not(HasSubstr("fma"))); // what is written rounds twice
    EXPECT_EQ(code->log, "");
  }
}

TEST_F(NvrtcTest, MakesTheSameCubinTwice) {
  StatusOr<CudaCode> once = nvrtc_->compile(kKernel, "axpy.cu", 90, CudaCodeForm::Cubin);
  ASSERT_TRUE(once) << once.error().text;
  EXPECT_THAT(once->bytes, testing::StartsWith("\177ELF"));
  EXPECT_EQ(once->bytes, nvrtc_->compile(kKernel, "axpy.cu", 90, CudaCodeForm::Cubin)->bytes);
}

TEST_F(NvrtcTest, ShowsTheLogOfTextThatDoesNotCompile) {
  StatusOr<CudaCode> code =
      nvrtc_->compile("__global__ void f() { x = 1; }", "wrong.cu", 90, CudaCodeForm::Ptx);
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ExitCode::Internal);
  EXPECT_THAT(code.error().text, HasSubstr("does not compile 'wrong.cu' for sm_90:\nwrong.cu(1): error:"));
}

TEST_F(NvrtcTest, TakesTheNewestForADeviceThatItDoesNotKnow) {
  EXPECT_EQ(nvrtc_->newestUpTo(90), 90);
  EXPECT_EQ(nvrtc_->newestUpTo(91), 90);
  EXPECT_EQ(nvrtc_->newestUpTo(10000), nvrtc_->architectures().back());
  EXPECT_EQ(nvrtc_->newestUpTo(20), 0);
}

TEST_F(NvrtcTest, RefusesAnArchitectureThatItDoesNotKnow) {
  Status refused = nvrtc_->check(20);
  EXPECT_EQ(refused.code, ExitCode::Device);
  EXPECT_THAT(refused.text, HasSubstr("makes no code for sm_20, only for sm_"));
}

} // namespace
} // namespace gradc
