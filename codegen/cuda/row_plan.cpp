#include "codegen/cuda/row_plan.h"

#include <algorithm>

#include "codegen/reduction_levels.h"

namespace gradc {

bool CudaRowPlan::reduces(int axis) const { return std::ranges::find(order.axes, axis) != order.axes.end(); }

std::optional<CudaRowPlan> cudaRowPlan(const CudaKernelContext &k) {
  std::optional<ReductionLevels> found = reductionLevels(k.fn, k.region());
  if (!found || found->order.axes.empty()) // a sum over no axis is the element
    return std::nullopt;
  CudaRowPlan plan;
  plan.shape = found->shape;
  plan.order = found->order;
  plan.levels = std::move(found->levels);
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
