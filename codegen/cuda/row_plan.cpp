#include "codegen/cuda/row_plan.h"

#include <algorithm>
#include <map>

#include "ir/op.h"

namespace gradc {
namespace {

/// The reductions by level; false where two differ in shape or order.
bool addLevels(const CudaKernelContext &k, CudaRowPlan &plan) {
  std::map<ValueId, size_t> level;
  bool first = true;
  for (OpId id : k.body().ops) {
    const OpData &op = k.fn[id];
    size_t depth = 0;
    for (ValueId operand : op.operands)
      depth = std::max(depth, level[operand]);
    if (op.def->is(kReduction)) {
      const ReductionOrder order = reductionOrder(k.fn, id);
      const Shape &shape = k.fn.type(op.operands[0]).shape;
      if (first) {
        plan.shape = shape;
        plan.order = order;
        first = false;
      }
      if (!(plan.shape == shape) || !(plan.order == order))
        return false;
      plan.levels.resize(std::max(plan.levels.size(), depth + 1));
      plan.levels[depth++].push_back(id);
    }
    for (ValueId result : op.results)
      level[result] = depth;
  }
  return !first;
}

} // namespace

bool CudaRowPlan::reduces(int axis) const { return std::ranges::find(order.axes, axis) != order.axes.end(); }

std::optional<CudaRowPlan> cudaRowPlan(const CudaKernelContext &k) {
  CudaRowPlan plan;
  if (!addLevels(k, plan) || plan.order.axes.empty()) // a sum over no axis is the element
    return std::nullopt;
  for (int axis = 0; axis < plan.shape.rank(); ++axis)
    if (!plan.reduces(axis)) {
      plan.kept.push_back(axis);
      plan.keptShape.push(plan.shape[axis]);
    }
  auto isRowMajor = [&](ValueId v) { return k.fn.type(v).layout.empty(); };
  if (!std::ranges::all_of(k.body().args, isRowMajor) || !std::ranges::all_of(k.body().yields, isRowMajor))
    return std::nullopt;
  for (size_t i = 0; i < k.body().yields.size(); ++i) {
    const Shape &shape = k.fn.type(k.body().yields[i]).shape;
    if (shape.elements() == plan.keptShape.elements())
      plan.keptResults.push_back(static_cast<int>(i));
    else if (shape == plan.shape)
      plan.fullResults.push_back(static_cast<int>(i));
    else
      return std::nullopt;
  }
  return plan;
}

} // namespace gradc
