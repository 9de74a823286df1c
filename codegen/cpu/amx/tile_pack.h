// From matrices in memory to bf16 tiles (tile_product.h), through vector registers. f32 numbers are rounded, or split
// into three bf16 of 8 significant bits each, hi + mid + lo = x exactly (but for what is below 2^-126).
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// A matrix M[row, depth] as it lies in memory: strides in bytes, within blocks of 16 and between blocks. One of the
/// two directions is contiguous within a block.
struct TileMatrix {
  DType dtype = DType::F32; // or bf16
  int64_t rows = 1, depth = 1;
  int64_t rowStride = 0, rowBlock = 0;
  int64_t depthStride = 0, depthBlock = 0;

  bool depthContiguous() const { return depthStride == static_cast<int64_t>(dtypeSize(dtype)); }
};

enum class TileForm : uint8_t {
  Rows,    // operand A: 32 neighbours of the depth in a row
  Columns, // operand B: pairs of the depth in a row; the matrix' rows are the tile's columns
  Ordered, // the same as RowProducts reads it (tile_emulation.h), of one piece
};

struct TilePacking {
  TileForm form = TileForm::Rows;
  int pieces = 1;
  int64_t pieceStride = 0;  // bytes between the pieces' tiles
  int64_t orderedRows = 16; // that are stored of an ordered tile
  bool fetches = true;      // what comes next of a depth that lies across memory
};

/// Packs 16 × 32 elements at `source` into a tile at `target`. The first `rows` rows and `depth` elements exist; the
/// rest of the tile is zero.
void emitPackTile(Emit &e, const TileMatrix &matrix, const TilePacking &packing, llvm::Value *source,
                  int64_t rows, int64_t depth, llvm::Value *target);

/// Packs 32 neighbours of one row, for form Rows of a matrix whose depth is contiguous.
void emitPackRow(Emit &e, const TileMatrix &matrix, const TilePacking &packing, llvm::Value *source,
                 int64_t depth, llvm::Value *target);

} // namespace gradc
