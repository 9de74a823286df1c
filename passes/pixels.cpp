// Names the algorithm `pixels` for gradients of row-major convolutions towards their weights.
//
//   %dw = kernel(%x, %dy) {kind = contract} { … conv2d_grad_weight … }
// becomes
//   %dw = kernel(%x, %dy) {kind = contract, schedule = {algorithm = pixels}} { … conv2d_grad_weight … }
//
// It has 16 neighbouring pixels in the lanes, where the direct algorithm's order has 16 images (ir/order.h), of which a
// small batch leaves most lanes idle: row-major, that order has no fast code. It rounds as finely as the direct one.
//
// Runs on kernels, so after outline, and before schedule, which completes the attribute. What the interpreter computes
// stays as it was; compiled code rounds differently.
#include "ir/contraction.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

Result<bool> run(Module &module, PassContext &context) {
  return nameAlgorithms(module, "pixels", [&](const Function &fn, OpId op) {
    context.statistics["weight gradients by pixels"] += suitsPixels(fn, op);
    return suitsPixels(fn, op);
  });
}

} // namespace
} // namespace gradc

GRADC_PASS(pixels) {
  return {.name = "pixels",
          .doc = "sum the weights' gradients of row-major convolutions with pixels in the lanes",
          .exactness = Exactness::Rounding,
          .run = run};
}
