#include "ir/turns.h"

#include <algorithm>

#include "ir/contraction.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// Whether an example of the op's result needs nothing but the same example of its operand.
bool keepsExamples(const Function &fn, OpId id, int operand) {
  const OpData &op = fn[id];
  const Type &from = fn.type(op.operands[operand]), &to = fn.type(op.results[0]);
  if (from.rank() == 0 || to.rank() == 0 || from.shape[0] != to.shape[0])
    return false;
  const Dict attrs = withDefaults(*op.def, op.attrs);
  if (op.def->is(kElementwise) || op.def->name == "reshape")
    return true;
  if (op.def->name == "matmul")
    return to.rank() > 2 && from.rank() == to.rank();
  if (op.def->is(kReduction)) {
    const std::vector<int64_t> axes = attrs.has("axes") ? attrs.ints("axes") : std::vector<int64_t>{0};
    return std::ranges::find(axes, 0) == axes.end();
  }
  if (op.def->name == "transpose")
    return attrs.ints("permutation")[0] == 0;
  return op.def->name == "broadcast" && attrs.ints("axes")[0] == 0;
}

/// Whether what is made of a value of the kernel's region follows it example by example, down to the yields.
bool isFollowed(const Function &fn, OpId kernel, ValueId from) {
  const RegionData &region = fn[fn[kernel].regions[0]];
  std::vector<bool> made(fn.numValues());
  made[index(from)] = true;
  for (OpId id : region.ops) {
    const std::vector<ValueId> &operands = fn[id].operands;
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!made[index(operands[i])])
        continue;
      if (!keepsExamples(fn, id, static_cast<int>(i)))
        return false;
      for (ValueId result : fn[id].results)
        made[index(result)] = true;
    }
  }
  return true;
}

/// The op that decides how the kernel's items are counted, or kNoOp.
OpId mainOp(const Function &fn, RegionId region) {
  if (const OpId contraction = findContraction(fn, region); contraction != kNoOp)
    return contraction;
  const auto reduction =
      std::ranges::find_if(fn[region].ops, [&](OpId op) { return fn[op].def->is(kReduction); });
  return reduction == fn[region].ops.end() ? kNoOp : *reduction;
}

} // namespace

int64_t examplesOf(const Function &fn, OpId kernel) {
  if (fn[kernel].regions.empty() || fn[kernel].results.empty())
    return 0;
  const RegionId region = fn[kernel].regions[0];
  const OpId main = mainOp(fn, region);
  if (main == kNoOp)
    return 0;
  // A product's factors, what a reduction sums and all results have one first dimension, which nothing mixes.
  const size_t factors = fn[main].def->is(kContraction) ? 2 : 1;
  for (size_t i = 0; i < factors; ++i)
    if (!keepsExamples(fn, main, static_cast<int>(i)))
      return 0;
  const ValueId first = fn[main].results[0];
  const int64_t examples = fn.type(first).shape[0];
  for (const std::vector<ValueId> *values : {&fn[region].args, &fn[region].yields})
    if (std::ranges::any_of(*values, [&](ValueId v) { return !fn.type(v).layout.empty(); }))
      return 0;
  const bool alike = std::ranges::all_of(
      fn[region].yields, [&](ValueId v) { return fn.type(v).rank() > 0 && fn.type(v).shape[0] == examples; });
  return alike && isFollowed(fn, kernel, first) ? examples : 0;
}

bool followsExamples(const Function &fn, OpId kernel, int operand) {
  return isFollowed(fn, kernel, fn[fn[kernel].regions[0]].args[static_cast<size_t>(operand)]);
}

} // namespace gradc
