// Reductions in the order of ir/order.h, for 16 lanes: the lanes are 16 output elements, each with partial sums of
// its own, or they are the 16 partial sums of one output element. Both give the same bits.
#pragma once

#include <span>

#include "codegen/cpu/elements/element.h"
#include "ir/order.h"

namespace gradc {

struct ReductionLoops {
  ElementEmitter &m;
  Shape shape;                  // of the operand
  ReductionOrder order;         // axes, lanes
  bool partialsInLanes = false; // needs order.lanes == 16
  bool unrolled = false;        // without loops: what one pass computes is still there in the next one
  int64_t first = 0;            // where the outermost reduced axis begins

  /// Reduces one element: `dims` has a value for each dimension that is kept (uniform with partialsInLanes). All
  /// `ops` (reduce_*) run in one pass over the operands. Gives one vector per op; with partialsInLanes all its lanes
  /// are the result.
  Values reduce(std::span<const OpId> ops, std::vector<LaneValue> dims, llvm::Value *mask);

  /// The loops alone, in order. The body sees one position of the reduced axes, and where order.lanes is 16 a block
  /// of `count` along the lane axis: as lanes (partialsInLanes; `mask` where it is not full), or as the first of
  /// `count` indices.
  using Body = std::function<Values(const std::vector<LaneValue> &dims, llvm::Value *mask, int64_t count,
                                    const Values &carried)>;
  Values forEach(std::vector<LaneValue> dims, const Values &carried, llvm::Value *mask, const Body &body);

  /// Where it is set, gets what reduce combines of a value.
  std::function<void(ValueId value, const LaneIndex &at, llvm::Value *term)> seen = nullptr;

private:
  /// As reduce, in one piece.
  Values reduceWhole(std::span<const OpId> ops, const std::vector<LaneValue> &dims, llvm::Value *mask);
  /// As reduceWhole, for maxima and minima with their partial ones in lanes.
  Values reduceNumbers(std::span<const OpId> ops, const std::vector<LaneValue> &dims, llvm::Value *mask);
  /// As reduce, for an order with segments.
  Values reduceSegments(std::span<const OpId> ops, const std::vector<LaneValue> &dims, llvm::Value *mask);

  /// One of the ops.
  struct Row {
    Leaf leaf;
    DType dtype;
    ValueId operand;
  };
  Row row(OpId op) const;
  llvm::Value *term(const Row &row, const LaneIndex &at);

  struct Level {
    int axis;
    int64_t count;
    bool blocks; // of 16 along the lane axis
  };
  std::vector<Level> levels() const;
  Values nest(std::span<const Level> levels, std::vector<LaneValue> dims, const Values &carried,
              llvm::Value *mask, int64_t count, const Body &body);
};

/// Two partial results of a reduction with that leaf.
llvm::Value *emitCombined(Emit &e, Leaf leaf, DType dtype, llvm::Value *a, llvm::Value *b);
/// p[j] += p[j + h] for h = size/2, ..., 1 (ir/order.h); += is the leaf. The size is a power of two.
llvm::Value *emitTree(Emit &e, Leaf leaf, DType dtype, Values partial);

/// The leaf that a reduction op combines with, and the value it starts at.
Leaf reductionLeaf(std::string_view op);
double reductionStart(std::string_view op);

} // namespace gradc
