#include "codegen/reduction_levels.h"

#include <algorithm>

#include "ir/op.h"

namespace gradc {
namespace {

/// Dimensions of more than one element, in order.
using Extents = std::vector<std::pair<int64_t, int64_t>>; // dimension, size

Extents keptExtents(const ReductionLevels &levels) {
  Extents kept;
  for (int axis = 0; axis < levels.shape.rank(); ++axis)
    if (levels.shape[axis] != 1 && std::ranges::find(levels.order.axes, axis) == levels.order.axes.end())
      kept.emplace_back(axis, levels.shape[axis]);
  return kept;
}

/// Whether `op` leaves each sum, or what was made of it, to its own row: a row has only its own sums at hand.
bool staysInRow(const Function &fn, const OpData &op, const ReductionLevels &levels) {
  if (op.def->is(kElementwise) || op.def->is(kReduction) || op.def->name == "relayout")
    return true;
  const Type &operand = fn.type(op.operands[0]), &result = fn.type(op.results[0]);
  if (operand.elements() != keptElements(levels.shape, levels.order))
    return false;
  if (op.def->name == "reshape")
    return true;
  if (op.def->name != "broadcast" || !(result.shape == levels.shape))
    return false;
  const std::vector<int64_t> &axes = op.attrs.ints("axes");
  Extents spread;
  for (size_t i = 0; i < axes.size(); ++i)
    if (operand.shape[static_cast<int>(i)] != 1)
      spread.emplace_back(axes[i], operand.shape[static_cast<int>(i)]);
  return spread == keptExtents(levels);
}

} // namespace

std::optional<ReductionLevels> reductionLevels(const Function &fn, RegionId region) {
  ReductionLevels found;
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    size_t depth = 0;
    for (ValueId operand : op.operands)
      depth = std::max(depth, found.depth[operand]);
    if (depth > 0 && !staysInRow(fn, op, found))
      return std::nullopt;
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
