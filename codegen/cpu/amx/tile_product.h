// Products of bf16 tiles with f32 sums, C[16,16] += A[16,32] · B[32,16]: the instructions of AMX, or, where the
// processor has none, vector code that computes the same bits.
//
// A tile is 16 rows of 64 bytes. A has 32 neighbours of the depth in a row. B has two neighbours of the depth side by
// side, for each of 16 columns: row r, column j holds B[2r, j] and B[2r + 1, j].
//
// One product adds to each sum the terms of 32 neighbours of the depth (tdpbf16ps in Intel's manual, checked against
// the processor): E and O are chains of 16 fma from +0 over the even and the odd ones, and C = C + (E + O). Operands
// and results below 2^-126 count as zero, everything rounds to nearest even. ir/order.h says in which order the
// products follow each other.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

inline constexpr int64_t kTileRows = 16;  // of A, and columns of B
inline constexpr int64_t kTileDepth = 32; // of both
inline constexpr int64_t kTilePitch = 64; // bytes from row to row of a packed tile
inline constexpr int64_t kTileBytes = kTileRows * kTilePitch;

/// Where a block's tiles of one operand lie, from the address of a step, in bytes.
struct TileOperand {
  int64_t tileStride = kTileBytes;
  int64_t pieceStride = 0; // between the bf16 pieces of split f32 numbers
};

/// Up to 2 × 2 tiles of sums: four independent chains hide the latency of a product, and each loaded tile is used
/// twice. `pieces` is 1, or 3 where each operand is a sum of three bf16.
struct TileBlock {
  int rowTiles = 2, columnTiles = 2, pieces = 1;
  bool columnsAreLhs = false; // the pieces' order is the op's, whichever operand lies in the columns
  bool ordered = false;       // tiles of columns are, for vector code (tile_emulation.h)
  TileOperand a, b;
};

/// The sums in memory: f32[32][32].
inline constexpr int64_t kSumPitch = 128;
inline constexpr int64_t kSumBytes = 32 * kSumPitch;

/// Emits a block's sums: zero or resume, any number of steps in any loops, store.
class TileProduct {
public:
  /// `sums` is memory of kSumBytes, 64-byte aligned.
  TileProduct(Emit &e, const TileBlock &block, llvm::Value *sums) : e_(e), block_(block), sums_(sums) {}

  void zero();
  /// Starts from the sums in memory.
  void resume();
  /// All products of one piece of the depth of 32. `beside` emits what other units may do meanwhile, part i of `parts()`
  /// behind as many products of each sum.
  void step(
      llvm::Value *a, llvm::Value *b, const std::function<void(int part)> &beside = [](int) {});
  int parts() const;
  void store();

private:
  llvm::Value *sumsOf(int tile) const;
  void move(llvm::Intrinsic::ID instruction);
  void load(int tile, llvm::Value *address);
  void multiply(int sum, int a, int b);

  Emit &e_;
  TileBlock block_;
  llvm::Value *sums_;
};

/// Tile registers of this thread are configured from here on, and given back. Around the items of a kernel.
void emitTileBegin(Emit &e);
void emitTileEnd(Emit &e);

} // namespace gradc
