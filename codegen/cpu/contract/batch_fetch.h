// What the products of a batch fetch for those behind them. A product of 128×128×64, as attention has, takes 10 µs: it is
// over before the processor has foreseen where its operands lie, and then the next one's lie elsewhere. So each tile
// fetches its share of what the next product reads, evenly over its own time, because a core waits for a dozen lines at most.
#pragma once

#include "codegen/cpu/contract/matmul_nest.h"

namespace gradc {

class BatchFetch {
public:
  BatchFetch(Emit &e, const MatmulNest &nest) : e(e), nest_(nest) {}

  /// A tile, and the operands that shares are counted from: the product's rows, and of the other operand what lies
  /// behind the columns of this product, or of this panel of them.
  struct Tile {
    llvm::Value *rowOperand, *nextColumns;
    llvm::Value *row, *column; // where it begins
    int64_t rows, allColumns;  // allColumns: of the product, or of the panel
  };
  /// Where the tile's shares begin: of the row operand and of the column operand.
  Values shares(const Tile &tile) const;
  /// Fetches in one of the tile's iterations.
  void emit(llvm::Value *rowShare, llvm::Value *columnShare, int64_t rows, int64_t columns,
            llvm::Value *iteration, int64_t iterations) const;

private:
  bool rowsAreNeighbours() const { return nest_.rowStride == 4; }
  /// Cache lines for each row of the row operand.
  int64_t rowLines() const;
  void fetch(llvm::Value *begin, int64_t lines, llvm::Value *iteration, int64_t iterations) const;

  Emit &e;
  const MatmulNest &nest_;
};

} // namespace gradc
