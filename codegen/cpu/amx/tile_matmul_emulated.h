// Products of few examples where vector code stands in for the tile unit (tile_emulation.h): memory bounds them, and they
// need no full tiles to be fast.
#pragma once

#include "codegen/cpu/amx/tile_matmul_parts.h"

namespace gradc {

/// The product of a plan of Walk::Shallow: the gradient towards weights, of at most 32 examples. A few rows of the result
/// grow along their whole length, so that what the epilogue reads and writes of them, weights and momenta, are streams.
class ShallowMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;
  KernelStep emitPacking(int columnBuffer);
  KernelStep emitProduct(int rowBuffer);
  int64_t workspaceBytes() const { return columnTiles() * tileBytes(); }

private:
  // What is finished at a time of the result, and how far ahead the epilogue's operands are fetched.
  static constexpr int64_t kRows = 4, kSegment = 64, kAhead = 256;
  static constexpr int64_t kSegmentPitch = kSegment * 4;

  int64_t tileBytes() const;
  void emitRows(llvm::Value *packed, llvm::Value *columns, llvm::Value *row, int64_t rows);
  void multiply(const TileKernels::Args &args, int64_t columns);
  void finish(const TileKernels::Args &args, int64_t rows, int64_t columns);
};

/// The product of a plan of Walk::Strips: few columns, the examples, by rows that lie across memory, as in the gradient
/// towards a layer's input. An item goes through the depth with a strip of rows in the lanes, as they lie, and the
/// examples as factors; the sums are transposed in the end.
class StripMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;
  KernelStep emitPacking(int columnBuffer);
  KernelStep emitProduct(int rowBuffer);

private:
  static constexpr int64_t kStrip = 512;
  static constexpr int64_t kStripPitch = kStrip * 4 + kCacheLine; // sums of an example

  int64_t sumBytes() const { return columnTiles() * kTileRows * kStripPitch; }
  void emitStrip(llvm::Value *source, llvm::Value *packed, llvm::Value *first, int64_t rows);
  void add(const TileKernels::Args &args, int64_t rows, int64_t depth);
  void finish(const TileKernels::Args &args, int64_t rows, int64_t columns);
};

/// The product of a plan of Walk::Rows: few columns, the examples, by rows that lie along memory, as forward. An item goes
/// through the depth with a panel of rows, block by block; the next block is packed meanwhile, a row at a time.
class RowMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;
  KernelStep emitPacking(int columnBuffer);
  KernelStep emitProduct(int rowBuffer);

private:
  static constexpr int64_t kBlock = 128; // of the depth
  struct Block {
    llvm::Value *panel, *number;
    int64_t depth;
  };

  int64_t sumPitch() const { return columnTiles() * kTilePitch; }
  int64_t sumBytes() const { return kPanelRows * sumPitch(); }
  int64_t packedBytes() const { return kBlock / kTileDepth * kPanelTiles * kTileBytes; }
  int64_t blockBytes() const { return kBlock / kTileRows * plan.rowMatrix.depthBlock; } // of a row
  llvm::Value *packedOf(const Block &block);
  llvm::Value *sourceOf(const Block &block);
  void packOne(llvm::Value *source, llvm::Value *first, llvm::Value *row, int64_t depth, llvm::Value *target);
  void pack(const Block &block);
  void add(const Block &block, const Block &next);
  void multiply(const TileKernels::Args &args, int64_t depth, int64_t nextDepth);
  void finish(llvm::Value *panel);

  llvm::Value *source_ = nullptr, *columns_ = nullptr;
};

} // namespace gradc
