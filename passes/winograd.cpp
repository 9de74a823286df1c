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
#include "ir/contraction.h"
#include "ir/op.h"
#include "passes/pass.h"

namespace gradc {
namespace {

bool applies(const Function &fn, OpId kernel) {
  if (fn[kernel].regions.empty() || fn[kernel].attrs.has("schedule"))
    return false;
  const OpId contraction = findContraction(fn, fn[kernel].regions[0]);
  return contraction != kNoOp && !winogradObjection(fn, contraction) && winogradPays(fn, contraction);
}

void name(Function &fn, OpId kernel) {
  Dict schedule, attrs = fn[kernel].attrs;
  schedule.set("algorithm", Keyword{"winograd"});
  attrs.set("schedule", schedule);
  fn[kernel].attrs = *normalizeAttrs(*fn[kernel].def, attrs); // in schema order
}

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    for (OpId op : fn->body().ops)
      if (applies(*fn, op)) {
        name(*fn, op);
        ++context.statistics["convolutions by winograd"];
        changed = true;
      }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(winograd) {
  return {.name = "winograd",
          .doc = "name Winograd's algorithm where it makes a convolution faster",
          .exactness = Exactness::Rounding,
          .run = run};
}
