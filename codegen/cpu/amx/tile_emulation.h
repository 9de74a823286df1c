// Products of tiles (tile_product.h) by vector code, to the bit.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "codegen/cpu/emit.h"

namespace gradc {

/// A packed row of A, 16 pairs of neighbours of the depth, as products read it: unchanged, but where dots multiply
/// (hasDots) each pair is two neighbours of a chain, the later one in the lower half; those of even terms come first.
llvm::Value *tileRow(Emit &e, llvm::Value *pairs);

/// `void product(sums, a, aTileStride, b, bTileStride, rowTiles, columnTiles)`, made once for each module: adds the
/// products of up to 2 × 2 tiles in memory to f32[32][32]. Strides are those of TileOperand. `ordered`: tiles of columns
/// are (orderedPair).
llvm::Function *emulatedTileProducts(Emit &e, bool ordered);

/// The pair of neighbours of a chain, in the lower and the upper half, that row `row` of a tile of columns holds as
/// vector code likes to read it ("ordered"); without dots, those that every tile has there: 2 · row and the next.
std::array<int64_t, 2> orderedPair(const CpuTarget &target, int64_t row);
/// How many rows of an ordered tile are read where so much of the depth exists.
int64_t orderedRows(int64_t depth);

/// Numbers below 2^-126 count as zero in what `body` emits, in a function that does nothing else.
void emitFlushing(Emit &e, const std::function<void()> &body);

class Multiplier;

/// Products of some rows of A by any number of tiles of columns, for code of its own around them.
class RowProducts {
public:
  struct Shape {
    int64_t rows = 16;           // a multiple of 4, at most 16
    int64_t depth = 32;          // what exists of it, where there is no more than this
    int64_t sumPitch = 64;       // bytes from row to row of the sums
    bool startsFromZero = false; // and not from the sums in memory
  };
  /// `a`: the first of the rows, packed.
  RowProducts(Emit &e, const Shape &shape, llvm::Value *a);
  RowProducts(RowProducts &&) noexcept;
  ~RowProducts();
  /// Adds the products by an ordered tile of columns to 16 of the sums of each row.
  void multiply(llvm::Value *columns, llvm::Value *sums);

private:
  Emit &e_;
  Shape shape_;
  std::unique_ptr<Multiplier> by_;
  llvm::Value *factors_;
};

} // namespace gradc
