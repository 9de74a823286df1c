// The text of CUDA kernels, pattern by pattern. What it computes is tested where it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/cuda/kernel.h"
#include "codegen/cuda/prelude.h"
#include "ir/text.h"

namespace gradc {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The code of the first kernel of a function.
CudaKernelCode codeOf(const std::string &text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "kernel.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  const CudaTarget target = *parseCudaTarget("sm_90");
  const OpId op = fn.body().ops[0];
  return emitCudaKernel(fn, op, target, cudaKernelSymbol(fn, op, target));
}

/// A map kernel of two operands of `type`.
std::string map(const std::string &type, const std::string &body, const std::string &result) {
  return fmt::format(
      "func @f(%x: {0}, %y: {0}) -> {2} {{\n"
      "  %k = kernel(%x, %y) {{kind = map}} {{ ^(%a: {0}, %b: {0}):\n{1}\n    yield %r\n  }} : {2}\n"
      "  return %k\n}}\n",
      type, body, result);
}

TEST(CudaKernel, AnElementwiseKernelReadsElementByElement) {
  const CudaKernelCode code = codeOf(map("f32[7,37]", "    %s = add(%a, %b)\n    %r = exp(%s)", "f32[7,37]"));
  ASSERT_EQ(code.steps.size(), 1u);
  const CudaStep &step = code.steps[0];
  EXPECT_EQ(step.blocks, 2);
  EXPECT_EQ(step.threads, kCudaThreads);
  EXPECT_EQ(step.sharedBytes, 0);
  EXPECT_EQ(step.buffers, (std::vector{0, 1, 2}));
  EXPECT_THAT(step.text,
              HasSubstr("// s+r  kernel.gir:2, kernel.gir:3, kernel.gir:4\n//   %s = add(%a, %b)"));
  EXPECT_THAT(step.text,
              HasSubstr("__device__ __forceinline__ void " + step.symbol +
                        "(int block, unsigned char *shared, const float *x, const float *y, float *k_out) {\n"
                        "  const int i = block * 256 + int(threadIdx.x);\n"
                        "  if (i < 259) {\n"
                        "    const float a = x[i];\n"
                        "    const float b = y[i];\n"
                        "    const float s = a + b;\n"
                        "    const float r = exp_f32(s);\n"
                        "    k_out[i] = r;\n"));
}

TEST(CudaKernel, ALargeOneReadsFourNeighboursTogether) {
  const CudaKernelCode code = codeOf(map("f32[256,1024]", "    %r = add(%a, %b)", "f32[256,1024]"));
  EXPECT_EQ(code.steps[0].blocks, 256);
  EXPECT_THAT(code.steps[0].text, HasSubstr("const float4 x4 = *(const float4 *)(x + i * 4);"));
  EXPECT_THAT(code.steps[0].text, HasSubstr("const float r = x4.x + y4.x;"));
  EXPECT_THAT(code.steps[0].text, HasSubstr("*(float4 *)(k_out + i * 4) = make_float4(r, r1, r2, r3);"));
}

TEST(CudaKernel, ABroadcastIsReadOnceForAllNeighbours) {
  const std::string text = "func @f(%x: f32[512,1024], %y: f32[512]) -> f32[512,1024] {\n"
                           "  %k = kernel(%x, %y) {kind = map} { ^(%a: f32[512,1024], %b: f32[512]):\n"
                           "    %c = broadcast(%b) {axes = [0], shape = [512,1024]}\n"
                           "    %r = mul(%a, %c)\n    yield %r\n  } : f32[512,1024]\n  return %k\n}\n";
  const std::string code = codeOf(text).steps[0].text;
  EXPECT_THAT(code, HasSubstr("const int i1 = unsigned(i) / 256;\n  const float b = y[i1];"));
  EXPECT_EQ(code.find("= y["), code.rfind("= y["));
}

TEST(CudaKernel, NumbersOfARowShareAnEvaluation) {
  const std::string text =
      "func @f(%s: i64[], %t: i64[], %n: i64[]) -> f32[512,1024] {\n"
      "  %k = kernel(%s, %t, %n) {kind = map} { ^(%a: i64[], %b: i64[], %c: i64[]):\n"
      "    %r = random_uniform(%a, %b, %c) {stream = \"drop\", shape = [512,1024]}\n    yield %r\n"
      "  } : f32[512,1024]\n  return %k\n}\n";
  const std::string code = codeOf(text).steps[0].text;
  EXPECT_EQ(code.find("philox("), code.rfind("philox("));
  EXPECT_THAT(code, HasSubstr("float(r_words.w >> 8) * 5.9604645e-08f"));
}

TEST(CudaKernel, AConstantComesFirstInAMaximum) { // as in the CPU's code: -0 stays
  const CudaKernelCode code = codeOf(
      map("f32[8]", "    %z = constant() {value = splat(0.0)} : f32[8]\n    %r = maximum(%a, %z)", "f32[8]"));
  EXPECT_THAT(code.steps[0].text, HasSubstr("maximum(0.0f, a)"));
}

TEST(CudaKernel, SeveralShapesAreRangesOfBlocks) {
  const std::string text = "func @f(%x: f32[1000], %y: f32[3]) -> (f32[1000], f32[3]) {\n"
                           "  %k, %l = kernel(%x, %y) {kind = multi} { ^(%a: f32[1000], %b: f32[3]):\n"
                           "    %r = neg(%a)\n    %s = neg(%b)\n    yield %r, %s\n  } : f32[1000], f32[3]\n"
                           "  return %k, %l\n}\n";
  const CudaKernelCode code = codeOf(text);
  EXPECT_EQ(code.steps[0].blocks, 5);
  EXPECT_THAT(code.steps[0].text, HasSubstr("if (block >= 0 && block < 4) {"));
  EXPECT_THAT(code.steps[0].text, HasSubstr("const int i1 = (block - 4) * 256 + int(threadIdx.x);"));
}

TEST(CudaPrelude, HoldsWhatIsCalled) {
  const std::string text = cudaPrelude("y = tanh_f32(x);");
  EXPECT_THAT(text, HasSubstr("DEVICE float tanh_f32(float x)"));
  EXPECT_THAT(text, HasSubstr("DEVICE float exp_f32(float x)")); // tanh calls it
  EXPECT_LT(text.find("exp_f32(float"), text.find("tanh_f32(float"));
  EXPECT_THAT(text, Not(HasSubstr("philox")));
  EXPECT_THAT(cudaPrelude("my_exp_f32(x); exp_f32_2(x)"), Not(HasSubstr("DEVICE float")));
}

} // namespace
} // namespace gradc
