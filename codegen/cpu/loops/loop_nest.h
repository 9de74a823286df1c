// The loops around an elementwise body: which memory dimensions of a result are walked as one, which of them vary
// with the lanes, and how the outer ones are cut into the grid items that threads share.
#pragma once

#include <functional>
#include <vector>

#include "codegen/cpu/elements/element.h"

namespace gradc {

/// Loops over all elements of a type in memory order, 16 lanes at a time along the innermost dimension.
class LoopNest {
public:
  /// `merge[d]`: dimensions d and d + 1 may be walked as one. `workPerElement` in cycles decides how much an item
  /// holds.
  LoopNest(const Type &type, const std::vector<bool> &merge, double cyclesPerVector);

  int64_t items() const { return items_; }
  /// Estimated seconds of one thread for all items.
  double work() const;

  /// Emits items low .. high - 1; the body gets the index of 16 elements.
  void emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high,
            const std::function<void(const LaneIndex &)> &body) const;

private:
  struct Loop {
    size_t group; // of the index
    int64_t size;
    int64_t step; // 16 for blocks of n16
  };
  void decode(ElementEmitter &m, llvm::Value *item, LaneIndex index,
              const std::function<void(const LaneIndex &)> &body) const;
  void inner(ElementEmitter &m, size_t loop, LaneIndex index,
             const std::function<void(const LaneIndex &)> &body) const;
  void lanes(ElementEmitter &m, llvm::Value *low, llvm::Value *high, LaneIndex index,
             const std::function<void(const LaneIndex &)> &body) const;

  std::vector<int> groups_; // dimensions in each
  std::vector<Loop> loops_; // outermost first, without the lanes
  size_t laneGroup_ = 0;
  int64_t laneSize_ = 1; // elements along the lanes
  bool blocked_ = false; // n16: the lanes are exactly one block …
  int64_t examples_ = 0; // … of so many examples
  size_t cut_ = 0;       // the loop that items cut into pieces; loops_.size(): the lanes
  int64_t piece_ = 1;    // iterations (vectors for the lanes) of it per item
  int64_t pieces_ = 1;
  int64_t items_ = 1;
  double cycles_ = 0;
  bool isLong_ = false; // an elementary function is among what is computed of a vector
};

/// Which neighbouring dimensions of the region's results no op tells apart, for results of `shape`.
std::vector<bool> mergeableDims(const Function &fn, RegionId region, const std::vector<ValueId> &roots,
                                const Shape &shape);
/// Estimated cycles for 16 elements of the values, with what they depend on. `sumsHere`: reductions are computed for
/// each element on the spot.
double cyclesPerVector(const Function &fn, RegionId region, const std::vector<ValueId> &roots,
                       bool sumsHere = true);

} // namespace gradc
