// The value of any op of a kernel's region at a logical index, for 16 lanes at once. This is the one place that
// knows what ops mean in LLVM IR; map, rows and contract kernels are loop nests around it.
//
// - Elementwise ops follow their scalar program leaf by leaf; each leaf rounds once, nothing is contracted.
// - Movement ops (broadcast, reshape, transpose, slice, pad, concat, reverse, gather, relayout) are maps of the
//   index.
// - A region argument becomes a vector load, a broadcast of a scalar, or a gather, depending on how its address
//   varies with the lane.
// - Window ops, reductions and contractions that nobody bound are computed on the spot, by loops in the order
//   of ir/order.h: slow, but every legal graph compiles.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "codegen/cpu/lane_index.h"
#include "ir/ir.h"
#include "ir/scalar.h"

namespace gradc {

class ElementEmitter {
public:
  ElementEmitter(Emit &e, const Function &fn, RegionId region);

  /// The memory of a region argument, in the layout of its type.
  void bindBuffer(ValueId arg, llvm::Value *pointer);
  /// The 16 lanes of a value at whatever index it is asked for next: an accumulator, a finished reduction.
  /// Forgets what was computed from the former binding.
  void bindVector(ValueId value, llvm::Value *lanes);
  /// As bindVector, with a function of the index.
  using ValueAt = std::function<llvm::Value *(const LaneIndex &)>;
  void bindValue(ValueId value, ValueAt at);
  void unbind(ValueId value);

  /// <16 x T> (bool: <16 x i1>). Lanes outside index.mask hold anything.
  llvm::Value *emit(ValueId value, const LaneIndex &index);

  /// Loads and stores 16 elements of a tensor of `type` at `pointer`.
  llvm::Value *load(const Type &type, llvm::Value *pointer, const LaneIndex &index);
  void store(const Type &type, llvm::Value *pointer, const LaneIndex &index, llvm::Value *value);
  /// How the address of an element, in elements, varies over the lanes.
  LaneValue address(const Type &type, const LaneIndex &index);

  /// What was computed stays valid in this block and those it dominates. Around the body of a loop or a branch,
  /// a Scope forgets at its end what was computed inside.
  class Scope {
  public:
    explicit Scope(ElementEmitter &emitter) : emitter_(emitter), memo_(emitter.memo_) {}
    ~Scope() { emitter_.memo_ = std::move(memo_); }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    ElementEmitter &emitter_;
    std::vector<std::vector<std::pair<LaneIndex, llvm::Value *>>> memo_;
  };

  Emit &e;
  LaneMath math;
  const Function &fn;

private:
  llvm::Value *compute(ValueId value, const LaneIndex &index);
  llvm::Value *elementwise(OpId op, const LaneIndex &index);

  std::map<ValueId, llvm::Value *> buffers_;
  std::map<ValueId, ValueAt> bound_;
  std::vector<std::vector<std::pair<LaneIndex, llvm::Value *>>> memo_; // by value
};

/// One leaf of a scalar program on vectors (or scalars) of `dtype`; comparisons give masks.
llvm::Value *emitLeaf(Emit &e, Leaf leaf, DType dtype, std::span<llvm::Value *const> args);
/// Conversion between element types as the op `cast` defines it.
llvm::Value *emitCast(Emit &e, llvm::Value *value, DType from, DType to);

} // namespace gradc
