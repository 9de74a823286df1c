#include "codegen/reduction_levels.h"

#include <algorithm>

#include "ir/op.h"

namespace gradc {

std::optional<ReductionLevels> reductionLevels(const Function &fn, RegionId region) {
  ReductionLevels found;
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    size_t depth = 0;
    for (ValueId operand : op.operands)
      depth = std::max(depth, found.depth[operand]);
    if (op.def->is(kReduction)) {
      const ReductionOrder order = reductionOrder(fn, id);
      const Shape &shape = fn.type(op.operands[0]).shape;
      if (found.levels.empty()) {
        found.shape = shape;
        found.order = order;
      }
      if (!(found.shape == shape) || !(found.order == order))
        return std::nullopt;
      found.levels.resize(std::max(found.levels.size(), depth + 1));
      found.levels[depth++].push_back(id);
    }
    for (ValueId result : op.results)
      found.depth[result] = depth;
  }
  return found.levels.empty() ? std::nullopt : std::optional(std::move(found));
}

int64_t keptElements(const Shape &shape, const ReductionOrder &order) {
  int64_t kept = shape.elements();
  for (int axis : order.axes)
    kept /= shape[axis];
  return kept;
}

} // namespace gradc
