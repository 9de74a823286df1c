// Names the algorithm `pixels` for gradients of row-major convolutions towards their weights, of at most 8 examples.
//
//   %dw = kernel(%x, %dy) {kind = contract} { … conv2d_grad_weight … }
// becomes
//   %dw = kernel(%x, %dy) {kind = contract, schedule = {algorithm = pixels}} { … conv2d_grad_weight … }
//
// It has 16 neighbouring pixels in the lanes, where the direct algorithm's order has 16 images (ir/order.h), of which a
// small batch leaves most lanes idle: row-major, that order has no fast code. It rounds as finely as the direct one. Larger
// batches keep their bits, however they lie.
//
// Runs on kernels, so after outline, and before schedule, which completes the attribute. What the interpreter computes
// stays as it was; compiled code rounds differently.
#include "ir/contraction.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"
#include "passes/small_batch_util.h"

namespace gradc {
namespace {

Result<bool> run(Module &module, PassContext &context) {
  return nameAlgorithms(module, context, "pixels", "weight gradients by pixels",
                        [](const Function &fn, OpId op) {
                          return suitsPixels(fn, op) && fn.type(fn[op].operands[0]).shape[0] <= kSmallBatch;
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
