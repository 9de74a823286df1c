// Replaces composite ops by the primitives they mean, until only primitives remain.
//
//   %y = dense(%x, %w, %b) : f32[64,10]
// becomes
//   %y~1 = matmul(%x, %w) {transpose_b = true} : f32[64,10]
//   %y~2 = broadcast(%b) {axes = [1], shape = [64,10]} : f32[64,10]
//   %y = add(%y~1, %y~2) : f32[64,10]
//
// Runs after autodiff, which wants an op's own gradient where its row has one, and before everything that looks
// at primitives only: canonicalize, layout, fuse.
#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions) {
    auto expand = [&](OpId op, Builder &b) -> std::optional<std::vector<ValueId>> {
      if (!(*fn)[op].def->expand)
        return std::nullopt;
      ++context.statistics["ops expanded"];
      return expandOp(*fn, op, b);
    };
    while (rewriteOps(*fn, expand)) // an expansion may use composites itself
      changed = true;
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(expand) {
  return {.name = "expand",
          .doc = "replace composite ops by primitives",
          .exactness =
              Exactness::Rounding, // an eval of a composite's own need not round where its expansion does
          .optional = false,
          .run = run};
}
