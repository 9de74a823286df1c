// Matrix products whose operands do not fit the caches together: result[row, column] in blocks, as BLIS has them
// (Van Zee and van de Geijn, "BLIS: a framework for rapidly instantiating BLAS functionality", 2015).
//
//   for each item, a block of rows × a block of columns:
//     for each block of the depth:
//       pack its column panels, [depth][tile.vectors·16], so that one stays in the first cache
//       for each panel, for each tile of rows: the tile's sums go on from where the block before left them
//
// Every sum stays one chain over the depth: between blocks it rests in memory, unrounded.
#pragma once

#include "codegen/cpu/tile_kernel.h"

namespace gradc {

struct BlockedNest {
  /// Blocks of the depth are multiples of it.
  static constexpr int64_t kDepthUnit = 16;
  /// Places in a worker's scratch memory; the panels come first.
  struct Scratch {
    int64_t rows = 0, sums = 0, end = 0;
  };

  int64_t rows = 1, columns = 1, depth = 1; // columns of 16 lanes
  int lastLanes = kVectorLanes;             // lanes that exist in the last column
  // Of the row operand, one float per row and depth: bytes between rows, between depths; one of them is a float.
  int64_t rowStride = 0, rowStep = 0;
  /// Of the column operand: bytes between depths, or between columns where it lies transposed.
  int64_t columnPitch = 0;
  bool transposedColumns = false;
  int rowDims = 1; // dimensions of the result that its rows stand for
  RegisterTile tile;
  // Chosen by chooseBlocks.
  int64_t depthBlock = 1;
  int64_t rowTiles = 1, panels = 1; // of an item

  /// Rows are neighbours in memory.
  bool turnedRows() const { return rowStride == static_cast<int64_t>(sizeof(float)); }
  /// Tiles of rows are packed where they are neighbours, or would all fall into the same lines of the first cache.
  bool packsRows() const { return turnedRows() || rowStride % 4096 == 0; }
  int64_t depthBlocks() const { return ceilDiv(depth, depthBlock); }
  int64_t panelBytes() const; // of a packed panel
  int64_t sumBytes() const;   // of a tile's sums
  Scratch scratch() const;
  int64_t items() const;
  int64_t scratchBytes() const { return scratch().end; }
};

/// Whether blocks are worth their copies: the operands are large, and each of their elements is used often.
bool wantsBlocks(int64_t rows, int64_t columnLanes, int64_t depth);
/// Sizes of the blocks for the nest's tile and a first cache of that size.
void chooseBlocks(BlockedNest &nest, int64_t l1Bytes);

void emitNest(TileKernels &tiles, const BlockedNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand);

} // namespace gradc
