// Merges ops that compute the same: same op, operands, attributes and result types. Operands of commutative ops
// compare in any order.
//
//   %a = add(%x, %y) : f32[4]
//   %b = add(%y, %x) : f32[4]
//   %c = mul(%a, %b) : f32[4]
// becomes
//   %a = add(%x, %y) : f32[4]
//   %c = mul(%a, %a) : f32[4]
//
// Runs after expand (equal expansions merge: the two softmaxes of a loss and its gradient) and once more after
// layout, which inserts equal relayouts. Ops in kernels and kernels themselves stay: two kernels of the same
// content are made only from ops that this pass left apart. Ordered ops stay.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

/// Equal for two ops exactly when they compute the same values.
std::string contentKey(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  std::vector<ValueId> operands = op.operands;
  if (op.def->is(kCommutative))
    std::ranges::sort(operands);
  std::string key = fmt::format("{}{}", op.def->name, toString(op.attrs));
  for (ValueId v : operands)
    key += fmt::format(" {}", index(v));
  for (ValueId v : op.results)
    key += ":" + toString(fn.type(v));
  return key;
}

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions) {
    std::map<std::string, OpId> seen;
    auto merge = [&](OpId id, Builder &) -> std::optional<std::vector<ValueId>> {
      const OpData &op = (*fn)[id];
      if (op.def->is(kOrdered) || !op.regions.empty() || op.region != Function::kBody)
        return std::nullopt;
      auto [it, fresh] = seen.try_emplace(contentKey(*fn, id), id);
      if (fresh)
        return std::nullopt;
      OpData &first = (*fn)[it->second];
      first.loc = fuseLocations(first.loc, op.loc);
      ++context.statistics["ops merged"];
      return first.results;
    };
    changed |= rewriteOps(*fn, merge);
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(cse) { return {.name = "cse", .doc = "merge ops that compute the same", .run = run}; }
