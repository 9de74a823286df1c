// The gradient of max pooling, walked window by window: each window gives its share to the largest of its taps. Where
// windows lie side by side, a window's elements are finished at once: of 16 images in n16, of 16 neighbouring windows
// row-major. Else a plane of n16 is gone through in order of the windows, which is the canonical order of the additions,
// and the rows that windows still share lie in scratch memory.
#pragma once

#include <functional>

#include "codegen/cpu/elements/element.h"
#include "ir/window_walk.h"

namespace gradc {

class WindowNest {
public:
  WindowNest(const Function &fn, const WindowWalk &walk)
      : fn_(&fn), op_(walk.op), win_(walk.window), apart_(walk.disjoint) {}

  ValueId gradient() const { return (*fn_)[op_].results[0]; }
  /// Of a plane of 16 images, unless windows lie side by side.
  int64_t scratchBytes() const;
  int64_t items() const;
  /// So many elements that are finished together, one after the other, are neighbours in memory, lane by lane.
  int64_t neighbours() const { return inLanes() ? 1 : win_.kernel[1]; }
  /// Estimated seconds of one thread, `cycles` for each vector of the region.
  double work(double cycles) const;

  /// Emits items low .. high - 1. `finished` gets elements of the gradient and their vectors; all that the region
  /// computes at them may be stored then.
  using Finished = std::function<void(const std::vector<LaneIndex> &, const Values &)>;
  void emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high, const Finished &finished) const;

private:
  bool inLanes() const;
  int64_t planes() const;
  bool isPadded() const;
  llvm::Value *isInside(Emit &e, llvm::Value *windowRow, llvm::Value *windowColumn) const;
  int64_t lineWidth() const;
  std::vector<LaneIndex> taps(ElementEmitter &m, const LaneIndex &window) const;
  Values shares(ElementEmitter &m, const LaneIndex &window, bool mayLeave = false) const;
  void plane(ElementEmitter &m, const LaneIndex &plane, const Finished &finished) const;
  void finishRows(ElementEmitter &m, const LaneIndex &plane, llvm::Value *low, llvm::Value *high,
                  const Finished &finished) const;
  llvm::Value *ringRow(Emit &e, llvm::Value *row) const;

  const Function *fn_;
  OpId op_;
  Window win_;
  bool apart_; // windows side by side, which cover the image
};

} // namespace gradc
