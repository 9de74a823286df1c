// Sums of the columns of a matrix, or of each of a batch, of which a partial sum has every 16th row (ir/order.h, lanes = 16
// along the rows): a strip of neighbouring columns goes down the rows of one partial sum after the other, with its sums in
// registers. So each row is read in runs, where all partial sums of one vector would read a line of each row: a page at
// each step, and rows whose size is a power of two meet in few sets of the cache.
//
// The partial sums come in the order in which the tree adds them, so that at most log2 of them wait for their partners:
//
//   0, 8: 0 + 8;  4, 12: 4 + 12, (0 + 8) + (4 + 12);  2, 10: …
#pragma once

#include <functional>
#include <span>

#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/loops/streaming.h"

namespace gradc {

class StripSums {
public:
  /// The ops reduce the last dimension but one of operands of that shape.
  StripSums(const CpuTarget &target, const Function &fn, std::span<const OpId> ops, const Shape &shape);

  /// How many trees of partial sums there are for each column: t has those of t, t + trees(), t + 2·trees(), …
  int64_t trees() const { return trees_; }
  int64_t matrices() const { return matrices_; }
  int64_t items() const { return matrices_ * strips_ * trees_ / together_; }
  /// How a row's operands are read ahead of their use: those that a partial sum begins with while the matrix before is
  /// summed.
  Ahead ahead() const;

  /// Of 16 columns of a tree.
  struct Place {
    llvm::Value *matrix, *tree, *vector;
  };
  /// Emits items low .. high - 1; `store` gets the sums of ops[r].
  using Store = std::function<void(size_t r, const Place &place, llvm::Value *sum)>;
  void emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high, const Store &store) const;

private:
  /// Neighbouring vectors of columns, as many as the code is made for, and neighbouring trees.
  struct Strip {
    llvm::Value *matrix, *vector, *tree;
    int64_t width;
    bool isLast; // it may end within a vector
  };
  void emitTrees(ElementEmitter &m, const Strip &strip, const Store &store) const;
  Values addRows(ElementEmitter &m, const Strip &strip, llvm::Value *partial) const;
  Values addRow(ElementEmitter &m, const Strip &strip, const Values &rows, Values sums) const;
  llvm::Value *combine(Emit &e, size_t r, llvm::Value *a, llvm::Value *b) const;
  DType typeOf(size_t r) const;
  /// In the order of sums, for each op, each tree and each vector.
  void forEachSum(const Strip &strip,
                  const std::function<void(size_t r, int64_t tree, int64_t v)> &visit) const;

  const Function &fn_;
  std::span<const OpId> ops_;
  int rank_;
  int64_t rows_, columns_, matrices_, width_, strips_, together_ = 1, trees_ = 1;
};

} // namespace gradc
