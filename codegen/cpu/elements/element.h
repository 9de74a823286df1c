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
#include <span>
#include <string_view>
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
  /// Stores values at an index and its next neighbours in memory, lane by lane: the lanes are as many elements apart as
  /// there are values, and their mask, if any, is a constant that lets the first ones through.
  void storeNeighbours(const Type &type, llvm::Value *pointer, const LaneIndex &index, const Values &values);
  /// How the address of an element, in elements, varies over the lanes.
  LaneValue address(const Type &type, const LaneIndex &index);
  /// Where that element, of the first lane, lies; `at` is affine.
  llvm::Value *pointerTo(const Type &type, llvm::Value *memory, const LaneValue &at);

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

  // Indices of other shapes at the same place.
  /// One value for each dimension of `shape`.
  std::vector<LaneValue> dims(const Shape &shape, const LaneIndex &index);
  /// The index in `to` that has the row-major number of `index` in `from`; both have as many elements.
  LaneIndex reshaped(const Shape &from, const LaneIndex &index, const Shape &to);
  /// The row-major number of an index.
  LaneValue linear(const Shape &shape, const LaneIndex &index);
  /// The lanes' values as an index: uniform where the index it was computed at is.
  LaneValue asIndex(llvm::Value *lanes, bool uniform);

  Emit &e;
  LaneMath math;
  const Function &fn;
  /// Whole lines are stored past the caches; the buffers begin lines.
  bool streams = false;

private:
  llvm::Value *compute(ValueId value, const LaneIndex &index);
  llvm::Value *elementwise(OpId op, const LaneIndex &index);

  std::map<ValueId, llvm::Value *> buffers_;
  std::map<ValueId, ValueAt> bound_;
  std::vector<std::vector<std::pair<LaneIndex, llvm::Value *>>> memo_; // by value
};

/// Where the element of a reshape's or transpose's operand lies in its result.
LaneIndex movedTo(ElementEmitter &m, OpId op, const LaneIndex &index);

/// A condition on lanes: i1 where all lanes agree and <16 x i1> otherwise, kept apart so that a uniform one costs
/// one comparison.
struct Condition {
  llvm::Value *uniform = nullptr; // null: always
  llvm::Value *lanes = nullptr;

  void require(Emit &e, llvm::Value *condition);
  /// Requires value < bound (unsigned). A uniform value outside becomes 0, so that its address may be touched.
  void requireBelow(LaneMath &math, LaneValue &value, int64_t bound);
  bool always() const { return !uniform && !lanes; }
  /// As <16 x i1>; not for always().
  llvm::Value *vector(Emit &e) const;
  /// `value` where it holds, else `otherwise`.
  llvm::Value *select(Emit &e, llvm::Value *value, llvm::Value *otherwise) const;
  /// A mask with the condition on lanes.
  llvm::Value *mask(Emit &e, llvm::Value *given) const;
};

/// How ops that are not elementwise become IR, one row per op.
struct ElementRule {
  std::string_view op;
  llvm::Value *(*emit)(ElementEmitter &emitter, OpId op, const LaneIndex &index);
};
std::span<const ElementRule> movementEmitters();    // movement.cpp
std::span<const ElementRule> generatorEmitters();   // generator.cpp: constant, iota, random_uniform
std::span<const ElementRule> windowEmitters();      // window.cpp
std::span<const ElementRule> reductionEmitters();   // reduction.cpp: computed on the spot
std::span<const ElementRule> contractionEmitters(); // contraction_here.cpp, likewise

/// One leaf of a scalar program on vectors (or scalars) of `dtype`; comparisons give masks.
llvm::Value *emitLeaf(Emit &e, Leaf leaf, DType dtype, std::span<llvm::Value *const> args);
/// Conversion between element types as the op `cast` defines it.
llvm::Value *emitCast(Emit &e, llvm::Value *value, DType from, DType to);
/// A vector of f32 rounded to bf16, as i32 with that in the upper half; the lower one is anything.
llvm::Value *emitRoundToBf16(Emit &e, llvm::Value *value);

} // namespace gradc
