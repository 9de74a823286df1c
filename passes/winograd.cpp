// Names Winograd's algorithm for the convolutions that it makes faster.
//
//   %y = kernel(%x, %w) {kind = contract} { … conv2d of 3×3, stride 1 … }
// becomes
//   %y = kernel(%x, %w) {kind = contract, schedule = {algorithm = winograd}} { … }
//
// Gradients towards the input and towards the weights likewise. It multiplies a quarter as often as the direct algorithm
// and makes about twice its rounding error (ir/winograd.h says when it is legal, when it pays and what it computes). That
// is decided by shapes alone, since it touches bits: a fused convolution and one that stands alone, a training step and
// an inference take the same algorithm. `--disable-pass winograd` leaves all convolutions direct.
//
// Runs on kernels, so after outline, and before schedule, which completes the attribute. What the interpreter computes
// stays as it was; compiled code rounds differently.
#include "ir/winograd.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

Result<bool> run(Module &module, PassContext &context) {
  return nameAlgorithms(
      module, context, "winograd", "convolutions by winograd",
      [](const Function &fn, OpId op) { return !winogradObjection(fn, op) && winogradPays(fn, op); });
}

} // namespace
} // namespace gradc

GRADC_PASS(winograd) {
  return {.name = "winograd",
          .doc = "name Winograd's algorithm where it makes a convolution faster",
          .exactness = Exactness::Rounding,
          .run = run};
}
