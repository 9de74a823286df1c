// Matrix products as register tiles: result[…, row, column] where the row operand is one element per row
// (broadcast to the lanes) and the column operand is 16 lanes per column. What rows, columns and lanes are, the
// caller decides by strides:
//
//   Y<n16>[n,u] = X<n16> W^T   rows = u (W, scalars), columns = blocks of 16 of n (X), lanes = n
//   dW[u,i] = dY^T X           rows = u (dY, scalars), columns = 16 neighbours of i (X row-major), lanes = i
//   dW<n16>[u,i] = dY^T X<n16> rows = i (X, scalars), columns = blocks of 16 of u (dY<n16>), lanes = u
//   C<n16>[n,i,j] = A B        per block of n: rows = i (A, vectors), columns = j (B), lanes = n
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

struct MatmulNest {
  /// A dimension of the result outside the tile. Strides in bytes.
  struct Batch {
    int axis = 0;
    int64_t size = 1;
    int64_t rowStride = 0, columnStride = 0;
  };
  std::vector<Batch> batches;
  int64_t rows = 1, columns = 1;
  int64_t rowStride = 0, columnStride = 0; // bytes between rows of the row operand, columns of the other
  Reduction reduction;
  /// Not 0: rows lie in blocks of 16, so many bytes from one to the next, which no tile crosses.
  int64_t rowBlockStride = 0;
  int64_t rowBytes = 0; // of the whole row operand
  /// Short products whose operands lie behind each other in memory, too many to stay in the caches: each fetches what
  /// the next one reads.
  bool fetchesNext = false;
  /// Items count row tiles outside of column tiles: a thread that takes the first half of a layer's weight gradient
  /// then works on the weights of the units that it computes forward.
  bool rowsOutside = false;
  bool broadcastRows = true;
  int lastLanes = kVectorLanes; // lanes that exist in the last column
  // Where the tile lies in the result; columnAxis == laneAxis means that a column is 16 elements of that axis.
  int rank = 2, rowAxis = 0, columnAxis = 1, laneAxis = 1;
  int rowDims = 1; // dimensions of the result that rowAxis stands for
  /// Not 0: the column operand lies as [columns·16, packDepth] and is transposed, panel by panel, into scratch memory
  /// [packDepth][tile.vectors·16]; the reduction's column steps are those of the panel.
  int64_t packDepth = 0;
  /// Not 0: it lies as [packDepth/16][columns·16][16], so many bytes from block to block.
  int64_t packBlockStride = 0;
  /// Not 0: an item is a strip of `stripTiles` row tiles that takes so many steps of the reduction at a time, while
  /// the accumulators of its other tiles wait in scratch memory: a matrix that is larger than the caches is then read
  /// in long runs and once.
  int64_t depthBlock = 0, stripTiles = 1;
  static constexpr int64_t kLongRuns = 512; // of such steps
  int64_t joinedStrips = 1; // so many neighbouring items of a call go through the matrix together
  RegisterTile tile;

  int64_t items() const;
  int64_t scratchBytes() const;
  /// The accumulators of a row tile and one column.
  int64_t partialBytes() const { return tile.rows * kVectorLanes * 4; }
};

/// The reduction along a depth that lies in n16, whose last block may be cut short: blocks of the row operand are so many
/// bytes apart, rows of the column operand `panel`.
Reduction overBlocks(int64_t depth, int64_t blockBytes, int64_t panel);

/// Chooses strips, for the nest's tile and the cache of a core, where a matrix is larger than it. Neutral in bits.
void blockForCache(MatmulNest &nest, int64_t l2Bytes);
/// The same where the row operand's matrix lies in n16: strips read it in its order.
void blockPackedRows(MatmulNest &nest);

/// How the items of the kernel are counted.
struct MatmulGrid {
  std::vector<TileRun> rowRuns, columnRuns;
  int64_t batches = 1,
          columnItems = 1; // columnItems: 1 (an item goes through all columns) or the column tiles
  int64_t items() const { return batches * columnItems * countTiles(rowRuns); }
};
MatmulGrid matmulGrid(const MatmulNest &nest);

/// Emits the loop over grid items in the kernel function at the insertion point.
void emitNest(TileKernels &tiles, const MatmulNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand);

} // namespace gradc
