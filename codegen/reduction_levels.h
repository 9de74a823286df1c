// What the reductions of a kernel of kind `rows` have in common.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "ir/ir.h"
#include "ir/order.h"

namespace gradc {

struct ReductionLevels {
  Shape shape; // that is reduced
  ReductionOrder order;
  std::vector<std::vector<OpId>> levels; // reductions that need only those of earlier levels
  std::map<ValueId, size_t>
      depth; // of each value of the region: how many levels come before it; 0 where absent
};

/// Nothing where the region has no reduction, two that differ in shape or order, or an op that brings a row's sum to another
/// row, as a transpose does: then each is computed on the spot.
std::optional<ReductionLevels> reductionLevels(const Function &fn, RegionId region);

/// How many sums such a reduction of that shape makes.
int64_t keptElements(const Shape &shape, const ReductionOrder &order);

} // namespace gradc
