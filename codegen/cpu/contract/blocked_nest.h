// Matrix products whose operands do not fit the caches together: result[row, column] in blocks, as BLIS has them
// (Van Zee and van de Geijn, "BLIS: a framework for rapidly instantiating BLAS functionality", 2015).
//
//   for each item, a block of rows × a block of columns:
//     for each block of the depth:
//       pack its column panels, [depth][tile.vectors·16], so that one stays in the first cache
//       copy its rows, where they lie so that they would compete for lines of the caches
//       for each panel, for each tile of rows: the tile's sums go on from where the block before left them
//
// Where the panels stay in the second cache for the whole depth, there are no sums to wait: for each tile of rows,
// which then stays in the first cache, for each panel.
//
// Every sum stays one chain over the depth: between blocks it rests in memory, unrounded.
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

struct BlockedNest {
  /// Blocks of the depth are multiples of it: layout n16 has so many depths or columns side by side.
  static constexpr int64_t kDepthUnit = kVectorLanes;
  /// Where an operand's element of an index (a row or a column of the result) and a depth lies.
  enum class Storage : uint8_t {
    DepthInner, // depths are neighbours, indices a pitch apart
    IndexInner, // indices are neighbours, depths a pitch apart
    Blocks,     // n16, blocks a pitch apart: of rows [depth/16][row][16]; of columns [column/16][depth][16]
  };
  struct Operand {
    Storage storage = Storage::IndexInner;
    int64_t pitch = 0; // in bytes
  };
  /// Places in a worker's scratch memory; the panels come first.
  struct Scratch {
    int64_t rows = 0, sums = 0, end = 0;
  };

  int64_t rows = 1, columns = 1, depth = 1; // columns of 16 lanes
  /// Products of neighbouring depths, each as deep as that: a leading dimension of what is stored.
  int64_t segments = 1;
  int lastLanes = kVectorLanes; // lanes that exist in the last column
  Operand row, column;
  /// The result is [column, row] in n16, else row-major [rows …, column] with so many dimensions for the rows.
  bool batchLanes = false;
  int rowDims = 1;
  RegisterTile tile;
  // Chosen by chooseBlocks.
  int64_t depthBlock = 1;
  int64_t rowTiles = 1, panels = 1; // of an item
  bool wholeDepth = false;          // one block of it, and tiles of rows outside of panels
  int64_t fewPanels = 2;            // so many read neighbouring rows in their place

  /// Rows are copied where they are neighbours, as a tile would take a piece of each line, if panels enough read them to
  /// pay for it: two where the lines are pages apart and the second cache, too, has few sets for them. Others are where a
  /// power of two between them makes more of them compete than a set of the first cache has ways.
  bool packsRows() const;
  /// The row operand as tiles read it: in its place or in scratch memory.
  Operand readRows() const;
  /// Rows copied at a time.
  int64_t blockRows() const { return (wholeDepth ? 1 : rowTiles) * tile.rows; }
  int64_t depthBlocks() const { return ceilDiv(depth, depthBlock); }
  int64_t panelBytes() const; // of a packed panel
  int64_t sumBytes() const;   // of a tile's sums
  Scratch scratch() const;
  int64_t items() const;
  int64_t scratchBytes() const { return scratch().end; }
};

/// Whether blocks are worth their copies for row-major matrices: the operands are large, and each of their elements is
/// used often.
bool wantsBlocks(int64_t rows, int64_t columnLanes, int64_t depth);
/// The same for the gradient of a layer's weights, [units, inputs], of operands that are not large: each tile of units
/// goes through panels of all inputs, whose lines, one of each example, compete for a few sets of the first cache where
/// a large power of two divides the distance between examples. It costs where a tile is one vector wide and they are
/// more than twice as many as the sets hold.
bool wantsPanels(int64_t units, int64_t inputs, int64_t examples, RegisterTile tile, int64_t l1Bytes);
/// The same for a product of <n16> examples by a matrix; `transposed`: it lies as [units, depth].
bool wantsBlocks(int64_t units, int64_t examples, int64_t depth, bool transposed, int64_t l2Bytes);
/// Sizes of the blocks for the nest's tile and caches of those sizes.
void chooseBlocks(BlockedNest &nest, int64_t l1Bytes, int64_t l2Bytes);

void emitNest(TileKernels &tiles, const BlockedNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand);

} // namespace gradc
