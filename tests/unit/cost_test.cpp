#include "ir/cost.h"

#include <gtest/gtest.h>

#include "ir/text.h"

namespace gradc {
namespace {

Cost costOfFirst(const char *text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  return costOf(fn, fn.body().ops[0]);
}

TEST(Cost, ContractionsCountEveryTapTwice) {
  const Cost matmul = costOfFirst("func @f(%a: f32[64,784], %w: f32[10,784]) -> f32[64,10] {\n"
                                  "  %y = matmul(%a, %w) {transpose_b = true}\n  return %y\n}");
  EXPECT_EQ(matmul.flops, 2.0 * 64 * 784 * 10);
  EXPECT_EQ(matmul.bytes, 4.0 * (64 * 784 + 10 * 784 + 64 * 10));
  const Cost conv = costOfFirst("func @f(%x: f32[2,3,8,8], %w: f32[5,3,3,3]) -> f32[2,5,6,6] {\n"
                                "  %y = conv2d(%x, %w)\n  return %y\n}");
  EXPECT_EQ(conv.flops, 2.0 * (2 * 5 * 6 * 6) * 27);
  const Cost weight = costOfFirst("func @f(%x: f32[2,3,8,8], %dy: f32[2,5,6,6]) -> f32[5,3,3,3] {\n"
                                  "  %y = conv2d_grad_weight(%x, %dy) {kernel = [3,3]}\n  return %y\n}");
  EXPECT_EQ(weight.flops, conv.flops);
  const Cost input = costOfFirst("func @f(%dy: f32[2,5,6,6], %w: f32[5,3,3,3]) -> f32[2,3,8,8] {\n"
                                 "  %y = conv2d_grad_input(%dy, %w) {input = [8,8]}\n  return %y\n}");
  EXPECT_EQ(input.flops, conv.flops);
}

TEST(Cost, AKernelIsItsRegion) {
  const Cost cost =
      costOfFirst("func @f(%x: f32[4,8]) -> f32[4,8] {\n"
                  "  %y = kernel(%x) {kind = map} { ^(%a: f32[4,8]):\n"
                  "    %b = exp(%a)\n    %c = transpose(%b) {permutation = [1,0]}\n"
                  "    %d = transpose(%c) {permutation = [1,0]}\n    %e = add(%d, %d)\n    yield %e\n"
                  "  }\n  return %y\n}");
  EXPECT_EQ(cost.flops, 64);
  EXPECT_EQ(cost.bytes, 2 * 4 * 32);
}

} // namespace
} // namespace gradc
