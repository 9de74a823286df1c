// Convolutions with stride 1, and their gradients towards the input, by Winograd's F(m×n, r×r) (ir/winograd.h) with 16
// images in the lanes (layout n16). Two steps:
//
//   weights  U[points][channel][depth] into the kernel's workspace
//   tiles    an item is a group of neighbouring tiles, 16 images each, and a part of the result's channels. In the
//            worker's scratch memory: V[points][tile][depth] of the group, then the products M[points][channel][tile] of
//            the part; from them the results, through the kernel's epilogue
//
// The products are matrix products of register tiles: rows = channels (scalars of U), columns = tiles (vectors of
// V). Nothing is ever shuffled.
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/kernel.h"
#include "ir/winograd.h"

namespace gradc {

/// Bytes from one plane of so many bytes to the next. Planes are written and read in step, one vector of each: an odd
/// number of cache lines apart, they do not meet in one set of a cache.
constexpr int64_t winogradPlane(int64_t bytes) { return (ceilDiv(bytes, kCacheLine) | 1) * kCacheLine; }

/// Strides and sizes in bytes.
struct WinogradNest {
  int64_t blocks = 1, channels = 1, depth = 1; // of the result; depth: channels of the operand
  int64_t inHeight = 1, inWidth = 1, outHeight = 1, outWidth = 1;
  int64_t inTop = 0, inLeft = 0; // where in the operand the first patch begins; negative: in the padding
  int64_t weightChannel = 0, weightDepth = 0;
  bool turned = false; // kernels are read backwards
  Winograd algorithm;
  RegisterTile tile; // at most 16 rows

  // Of an item: tiles, a multiple of tile.vectors, and panels of tile.rows channels.
  int64_t columns = 1, panels = 1;

  int64_t tileRows() const;
  int64_t tileColumns() const;
  int64_t tiles() const { return blocks * tileRows() * tileColumns(); }
  std::vector<TileRun> panelRuns() const { return balancedTiles(channels, tile.rows); }
  int64_t groups() const { return ceilDiv(tiles(), columns); }
  int64_t parts() const { return ceilDiv(countTiles(panelRuns()), panels); }

  // One of the planes (36 of a patch of 6×6) of U, as [panel][depth][rows]; of V, as [columns / vectors][depth][vectors][16]; and of M, as
  // [panel][rows][columns][16].
  int64_t weightPlane() const;
  int64_t operandPlane() const;
  int64_t productPlane() const;
  int64_t inRow() const;
  int64_t inChannel() const;
};

/// The nest of an op that winogradObjection has nothing against.
WinogradNest planWinograd(const Function &fn, OpId op, RegisterTile tile, int64_t l2Bytes);

/// Emits both steps. `weights` and `operand` are numbers of the kernel's buffers.
KernelCode emitWinograd(KernelContext &k, TileStore &store, const WinogradNest &nest, int weights,
                        int operand);

/// Emits V of the tiles first .. end-1, whose images begin at `operand`. Uses a vector for each point at `patch`.
void emitWinogradOperand(TileKernels &tiles, const WinogradNest &nest, llvm::Value *operand,
                         llvm::Value *target, llvm::Value *patch, llvm::Value *first, llvm::Value *end);

/// A tile's block of images and the position of its first result.
struct WinogradPlace {
  llvm::Value *block, *row, *column;
};
WinogradPlace winogradPlace(Emit &e, const WinogradNest &nest, llvm::Value *tile);

/// Where column `column` of an item lies in a plane of V.
llvm::Value *winogradColumn(Emit &e, const WinogradNest &nest, llvm::Value *column);

} // namespace gradc
