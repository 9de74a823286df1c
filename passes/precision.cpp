// Rounds the factors of products to bf16, so that the tile unit multiplies them; sums and all else stay f32.
//
//   %y = matmul(%x, %w) {transpose_b = true} : f32[64,512]
// becomes
//   %y~1 = cast(%x) {dtype = bf16} : bf16[64,784]
//   %y~2 = cast(%w) {dtype = bf16} : bf16[512,784]
//   %y = matmul(%y~1, %y~2) {transpose_b = true} : f32[64,512]
//
// and so are the factors of convolutions and their gradients where tiles gain by it (ir/contraction.h): with 16 channels
// or more on both sides, in one group, without dilation. Parameters, the optimiser's state, normalisation, softmax and
// the loss stay f32: nothing but factors is rounded. A value that several products read is rounded once, after cse. fuse puts the rounding of an activation
// into the kernel that computes it, and that of a parameter into the products that pack it.
//
// Runs after the gradient's ops are primitives, and before layout, which stores the rounded values. It makes
// another function: bf16 keeps 8 bits.
#include <algorithm>

#include "ir/contraction.h"
#include "ir/op.h"
#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

/// Layouts are chosen for what is stored, so values that have one keep their type.
bool isRounded(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  if (!op.def->is(kContraction))
    return false;
  return fn.type(op.operands[0]).dtype == DType::F32 && tilesPay(fn, id) &&
         std::ranges::all_of(op.operands, [&](ValueId v) { return fn.type(v).layout.empty(); }) &&
         fn.type(op.results[0]).layout.empty();
}

std::optional<std::vector<ValueId>> roundFactors(const Function &fn, OpId id, Builder &b,
                                                 PassContext &context) {
  const OpData op = fn[id];
  if (!isRounded(fn, id))
    return std::nullopt;
  ++context.statistics["products in bf16"];
  const std::string name = b.name();
  std::vector<ValueId> factors;
  for (ValueId v : op.operands) {
    b.named(fn[v].name);
    factors.push_back(b.cast(v, DType::BF16));
  }
  b.named(name);
  return std::vector{b.create(op.def->name, factors, op.attrs)};
}

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= rewriteOps(*fn, [&](OpId op, Builder &b) { return roundFactors(*fn, op, b, context); });
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(precision) {
  return {.name = "precision",
          .doc = "round the factors of products and convolutions to bf16",
          .exactness = Exactness::Meaning,
          .run = run};
}
