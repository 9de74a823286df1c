// The text of CUDA kernels, pattern by pattern. What it computes is tested where it runs.
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codegen/cuda/kernel.h"
#include "codegen/cuda/module.h"
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

TEST(CudaKernel, ATransposeThatKeepsRowsReadsNeighboursTogether) {
  const std::string text = "func @f(%x: f32[64,128,4,64]) -> f32[64,4,128,64] {\n"
                           "  %k = kernel(%x) {kind = map} { ^(%a: f32[64,128,4,64]):\n"
                           "    %r = transpose(%a) {permutation = [0,2,1,3]}\n    yield %r\n"
                           "  } : f32[64,4,128,64]\n  return %k\n}\n";
  EXPECT_THAT(codeOf(text).steps[0].text, HasSubstr("*(float4 *)(k_out + i * 4) = make_float4(x4.x,"));
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

/// A kernel of one operand.
std::string unary(const std::string &kind, const std::string &type, const std::string &body,
                  const std::string &result) {
  return fmt::format(
      "func @f(%x: {1}) -> {3} {{\n  %k = kernel(%x) {{kind = {0}}} {{ ^(%a: {1}):\n{2}\n    yield %r\n"
      "  }} : {3}\n  return %k\n}}\n",
      kind, type, body, result);
}

TEST(CudaKernel, ARowIsReadOnceByHalfAWarp) {
  const std::string softmax =
      "    %m = reduce_max(%a) {axes = [1]}\n    %b = broadcast(%m) {axes = [0], shape = [64,32]}\n"
      "    %d = sub(%a, %b)\n    %e = exp(%d)\n    %s = reduce_sum(%e) {axes = [1]}\n"
      "    %c = broadcast(%s) {axes = [0], shape = [64,32]}\n    %r = div(%e, %c)";
  const CudaStep step = codeOf(unary("rows", "f32[64,32]", softmax, "f32[64,32]")).steps[0];
  EXPECT_EQ(step.blocks, 4); // 16 rows each
  EXPECT_EQ(step.sharedBytes, 0);
  EXPECT_THAT(step.text, HasSubstr("const float a = x[row * 32 + column];"));
  EXPECT_THAT(step.text, HasSubstr("const float a1 = x[row * 32 + column + 16];"));
  EXPECT_THAT(step.text, Not(HasSubstr("a2")));
  EXPECT_THAT(step.text, HasSubstr("= tree16(m_part, [](float a, float b) { return maximum(a, b); });"));
}

TEST(CudaKernel, ColumnsMeetInSharedMemory) { // lanes j and j + 8 are one thread's
  const CudaStep step =
      codeOf(unary("rows", "f32[64,96]", "    %r = reduce_sum(%a) {axes = [0]}", "f32[96]")).steps[0];
  EXPECT_EQ(step.blocks, 3);
  EXPECT_EQ(step.sharedBytes, 1024);
  EXPECT_THAT(step.text, HasSubstr("const float a = x[k * 1536 + slot * 96 + block * 32 + column];"));
  EXPECT_THAT(step.text, HasSubstr("r_shared[threadIdx.x] = r_part + r_part1;\n  __syncthreads();"));
}

TEST(CudaKernel, HalfABlockComputesWhatTheOtherAdds) {
  const CudaStep step =
      codeOf(unary("rows", "f32[32,8,16,16]", "    %r = reduce_sum(%a) {axes = [0,2,3]}", "f32[8]")).steps[0];
  EXPECT_EQ(step.blocks, 8); // a channel each
  EXPECT_THAT(step.text, HasSubstr("const int adder = thread ^ 128;"));
  EXPECT_THAT(
      step.text,
      HasSubstr("for (int tile = 0; tile <= 2; ++tile) {\n    if (thread < 128) {\n      if (tile < 2) {"));
  EXPECT_THAT(step.text, HasSubstr("put4(r_terms + tile * 4160 + group3 * 4 + group3_1 * 4, r_term[j2]);"));
  EXPECT_THAT(step.text, HasSubstr("r_part = r_part + r_terms1.x;"));
  EXPECT_THAT(step.text, HasSubstr("tree16(r_part, [](float a, float b) { return a + b; })"));
}

TEST(CudaKernel, ATileWithoutAnotherIsComputedByAll) {
  const CudaStep step =
      codeOf(unary("rows", "f32[33,10]", "    %r = reduce_sum(%a) {axes = [1]}", "f32[33]")).steps[0];
  EXPECT_THAT(step.text, Not(HasSubstr("tile")));
  EXPECT_THAT(step.text, HasSubstr("r_terms[group1 + group1_1] = r_term[j2];"));
}

TEST(CudaKernel, LongColumnsAreStagedBySegments) {
  const CudaStep step =
      codeOf(unary("rows", "f32[64,128,256]", "    %r = reduce_sum(%a) {axes = [0,1]}", "f32[256]")).steps[0];
  EXPECT_EQ(step.blocks, 64); // 4 columns of 4 segments each
  EXPECT_THAT(step.text, HasSubstr("r_part = r_part + r_terms[before1 * 4096 + t * 16 + adder];"));
  EXPECT_THAT(step.text, HasSubstr("const float r = r_part1 + r_part3;"));
}

TEST(CudaKernel,
     NeighboursStayTogetherWhateverTheRows) { // rows that a tile cuts, and columns of several axes
  for (const auto &[shape, axes, result] :
       {std::tuple{"f32[32,64,112,112]", "0,2,3", "f32[64]"},
        std::tuple{"f32[64,16,48,48]", "0,2,3", "f32[16]"},
        std::tuple{"f32[32,16,96,96]", "0,2,3", "f32[16]"}, std::tuple{"f32[64,8,64,12]", "0,2,3", "f32[8]"},
        std::tuple{"f32[1024,200,12]", "0", "f32[200,12]"}}) {
    SCOPED_TRACE(shape);
    const std::string sum = fmt::format("    %r = reduce_sum(%a) {{axes = [{}]}}", axes);
    EXPECT_THAT(codeOf(unary("rows", shape, sum, result)).steps[0].text, HasSubstr("put4("));
  }
}

TEST(CudaKernel, LevelsShareTheMemoryOfTheirTiles) {
  for (const char *type : {"f32", "f64"}) {
    const std::string full = fmt::format("{}[32,8,32,32]", type), kept = fmt::format("{}[8]", type);
    const std::string text =
        fmt::format("func @f(%x: {0}) -> {1} {{\n  %k = kernel(%x) {{kind = rows}} {{ ^(%a: {0}):\n"
                    "    %s = reduce_sum(%a) {{axes = [0,2,3]}}\n"
                    "    %b = broadcast(%s) {{axes = [1], shape = [32,8,32,32]}}\n    %d = sub(%a, %b)\n"
                    "    %q = square(%d)\n    %r = reduce_sum(%q) {{axes = [0,2,3]}}\n    yield %r\n"
                    "  }} : {1}\n  return %k\n}}\n",
                    full, kept);
    EXPECT_LE(codeOf(text).steps[0].sharedBytes, 34 * 1024) << type; // of 64 KiB on sm_75
  }
}

TEST(CudaKernel, TilesOfWideTensorsAreCountedWide) { // 2^32 elements
  const std::string text =
      codeOf(unary("rows", "f32[4194304,1024]", "    %r = reduce_sum(%a) {axes = [0]}", "f32[1024]"))
          .steps[0]
          .text;
  EXPECT_THAT(text, HasSubstr("for (long long tile = 0;"));
  EXPECT_THAT(text, HasSubstr("const long long before = tile - 1;"));
}

TEST(CudaKernel, RowsThatNoFourFillAreComputedOneByOne) { // 55 pixels a row
  const CudaStep step =
      codeOf(unary("rows", "f32[16,4,55,55]", "    %r = reduce_sum(%a) {axes = [0,2,3]}", "f32[4]")).steps[0];
  EXPECT_THAT(step.text, Not(HasSubstr("float4")));
  EXPECT_THAT(step.text, HasSubstr("< 3025"));
}

TEST(CudaKernel, TheOrderOfAScalarsSumIsKeptByOneThread) { // what has no form of its own
  const CudaStep step =
      codeOf(unary("map", "f32[20,3]", "    %s = reduce_sum(%a) {axes = [0]}\n    %r = neg(%s)", "f32[3]"))
          .steps[0];
  EXPECT_THAT(step.text, HasSubstr("const int part = int(__brev(p) >> 28);"));
  EXPECT_THAT(step.text, HasSubstr("s = waiting3 + s;"));
}

TEST(CudaKernel, ASumOverNoAxisIsTheElement) {
  const CudaStep step =
      codeOf(unary("rows", "f32[3]", "    %r = reduce_sum(%a) {axes = []}", "f32[3]")).steps[0];
  EXPECT_THAT(step.text, HasSubstr("r = r + a;"));
}

TEST(CudaKernel, AThreadHasAWindowOfThePoolsGradient) {
  const std::string text = "func @f(%x: f32[2,3,8,8], %d: f32[2,3,4,4]) -> f32[2,3,8,8] {\n"
                           "  %k = kernel(%x, %d) {kind = map} { ^(%a: f32[2,3,8,8], %b: f32[2,3,4,4]):\n"
                           "    %r = window_max_grad(%a, %b) {window = [2,2], stride = [2,2]}\n    yield %r\n"
                           "  } : f32[2,3,8,8]\n  return %k\n}\n";
  const CudaStep step = codeOf(text).steps[0];
  EXPECT_EQ(step.blocks, 1);
  EXPECT_THAT(step.text, HasSubstr("*(const float2 *)(x + "));
  EXPECT_THAT(step.text, HasSubstr("argmax_take(x2_1.y, 3, best, winner);"));
  EXPECT_THAT(step.text, HasSubstr("= winner == 3 ? share : 0.0f;"));
  EXPECT_THAT(step.text, HasSubstr("= make_float2("));
}

TEST(CudaKernel, OverlappingWindowsAreSearchedOnce) {
  const std::string text = "func @f(%x: f32[2,3,9,9], %d: f32[2,3,4,4]) -> f32[2,3,9,9] {\n"
                           "  %k = kernel(%x, %d) {kind = map} { ^(%a: f32[2,3,9,9], %b: f32[2,3,4,4]):\n"
                           "    %r = window_max_grad(%a, %b) {window = [3,3], stride = [2,2]}\n    yield %r\n"
                           "  } : f32[2,3,9,9]\n  return %k\n}\n";
  const CudaKernelCode code = codeOf(text);
  ASSERT_EQ(code.steps.size(), 2u);
  EXPECT_EQ(code.workspaceBytes, 2 * 3 * 4 * 4);
  EXPECT_EQ(code.steps[0].symbol, code.steps[1].symbol + "_winners");
  // What a step does not name is none of its parameters.
  EXPECT_EQ(code.steps[0].buffers, (std::vector{0, 3})); // x, and the workspace last
  EXPECT_EQ(code.steps[1].buffers, (std::vector{1, 2, 3}));
  EXPECT_THAT(code.steps[0].text, HasSubstr("workspace[i] = (unsigned char)(winner);"));
  EXPECT_THAT(code.steps[1].text, HasSubstr("if (workspace["));
}

TEST(CudaKernel, ATransposeGoesThroughATile) {
  const CudaStep step =
      codeOf(unary("map", "f32[64,96]", "    %r = transpose(%a) {permutation = [1,0]}", "f32[96,64]"))
          .steps[0];
  EXPECT_EQ(step.blocks, 6);
  EXPECT_THAT(step.text, HasSubstr("tile[tile_y * 33 + tile_x] = "));
  EXPECT_THAT(step.text, HasSubstr("= tile[tile_x * 33 + tile_y];"));
}

TEST(CudaKernel, ScatterKeepsTheListsOrder) {
  const std::string text = "func @f(%i: i32[600], %u: f32[600,300]) -> f32[37,300] {\n"
                           "  %k = kernel(%i, %u) {kind = map} { ^(%a: i32[600], %b: f32[600,300]):\n"
                           "    %r = scatter_add(%a, %b) {axis = 0, size = 37}\n    yield %r\n"
                           "  } : f32[37,300]\n  return %k\n}\n";
  const CudaStep step = codeOf(text).steps[0];
  EXPECT_EQ(step.blocks, 10); // 8 rows by 256 columns
  EXPECT_THAT(step.text, HasSubstr("__ballot_sync(0xffffffffu, meets)"));
  EXPECT_THAT(step.text, Not(HasSubstr("atomic")));
}

TEST(CudaPrelude, HoldsWhatIsCalled) {
  const std::string text = cudaPrelude("y = pow_f32(x, z);");
  EXPECT_THAT(text, HasSubstr("DEVICE float pow_f32(float x, float y)"));
  EXPECT_THAT(text, HasSubstr("DEVICE T pow_cases(T x, T y, T r)")); // pow_f32 calls it
  EXPECT_LT(text.find("pow_cases(T"), text.find("pow_f32(float"));
  EXPECT_THAT(text, Not(HasSubstr("philox")));
  EXPECT_THAT(cudaPrelude("my_exp_f32(x); exp_f32_2(x)"), Not(HasSubstr("DEVICE float")));
}

/// Eight long kernels of their own.
std::string longKernels() {
  std::string text = "func @f(%x: f32[64]) -> (f32[64]";
  for (int i = 1; i < 8; ++i)
    text += ", f32[64]";
  text += ") {\n";
  for (int i = 0; i < 8; ++i) {
    text += fmt::format("  %k{} = kernel(%x) {{kind = map}} {{ ^(%a0: f32[64]):\n", i);
    for (int j = 0; j < 150 + i; ++j)
      text += fmt::format("    %a{} = add(%a{}, %a0)\n", j + 1, j);
    text += fmt::format("    yield %a{}\n  }} : f32[64]\n", 150 + i);
  }
  return text + "  return %k0, %k1, %k2, %k3, %k4, %k5, %k6, %k7\n}\n";
}

TEST(CudaKernel, ATextIsCutBetweenLaunches) {
  Diagnostics diag;
  Result<Module> module = parseModule(longKernels(), "kernels.gir", diag);
  ASSERT_TRUE(module) << diag.render();
  const CudaTarget target = *parseCudaTarget("sm_90");
  const CudaModule whole = emitCudaModule(*module->functions[0], target);
  ASSERT_EQ(whole.texts.size(), 1u);
  const CudaModule cut = emitCudaModule(*module->functions[0], target, 3);
  EXPECT_EQ(cut.texts.size(), 3u);
  ASSERT_EQ(cut.launches.size(), 8u);
  size_t length = 0;
  for (const std::string &text : cut.texts)
    length += text.size();
  EXPECT_LT(length, whole.texts[0].size() + 2000); // a beginning each
  for (const CudaLaunch &launch : cut.launches)
    for (size_t part = 0; part < cut.texts.size(); ++part)
      EXPECT_EQ(cut.texts[part].find(launch.function + "(") != std::string::npos,
                static_cast<int>(part) == launch.part);
  EXPECT_EQ(emitCudaModule(*module->functions[0], target, 100).texts.size(),
            4u); // none is shorter than 16 KiB
}

} // namespace
} // namespace gradc
