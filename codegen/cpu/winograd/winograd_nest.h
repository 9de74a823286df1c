// Convolutions with stride 1, and their gradients towards the input, by Winograd's F(m×n, r×r) (ir/winograd.h) with 16
// images in the lanes (layout n16). Two steps; an item of the second is a group of neighbouring tiles, 16 images each, and a
// part of the result's channels:
//
//   weights  U[points][channel][depth] into the kernel's workspace
//   tiles    in the worker's scratch memory V[points][tile][depth] of the group, then the products M[points][channel][tile]
//            of the part; from them the results, through the kernel's epilogue
//
// Where V of a few tiles would not stay in L2, and U of many channels goes through memory (far):
//
//   images   V of all tiles into the workspace
//   tiles    in scratch memory, a few channels of the operand at a time, U of the part, and what they add to M of the
//            group's tiles; in the end the results
//
// The products are matrix products of register tiles: rows = channels (scalars of U), columns = tiles (vectors of
// V). Nothing but weights is ever shuffled.
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
  bool far = false;
  int64_t chunk = 1; // channels of the operand that U is made of at a time

  int64_t tileRows() const;
  int64_t tileColumns() const;
  int64_t tiles() const { return blocks * tileRows() * tileColumns(); }
  std::vector<TileRun> panelRuns() const { return balancedTiles(channels, tile.rows); }
  int64_t groups() const { return ceilDiv(tiles(), columns); }
  int64_t parts() const { return ceilDiv(countTiles(panelRuns()), panels); }

  /// The lanes that make U hold the channels of a panel side by side, and then those of the next channel of the operand:
  /// as many whole ones as fit.
  static int64_t depthsOfVector(int64_t rows) { return kVectorLanes / rows; }

  // One of the planes (36 of a patch of 6×6) of U, as [panel][depth][rows]; of V, as [tiles / vectors][depth][vectors][16];
  // and of M, as [panel][rows][columns][16]. Of all panels or tiles in the workspace, of the item's in scratch memory.
  int64_t weightPanel() const { return tile.rows * (far ? chunk : depth) * 4; }
  int64_t weightPlane() const;
  int64_t operandPlane() const;
  int64_t productPlane() const;
  int64_t inRow() const;
  int64_t inChannel() const;
};

/// The nest of an op that winogradObjection has nothing against.
WinogradNest planWinograd(const Function &fn, OpId op, RegisterTile tile, int64_t l2Bytes);

/// Emits all steps. `weights` and `operand` are numbers of the kernel's buffers.
KernelCode emitWinograd(KernelContext &k, TileStore &store, const WinogradNest &nest, int weights,
                        int operand);

/// U of a panel, from its first channel on, and of the operand's channels low .. high-1.
struct WinogradFilters {
  llvm::Value *weights, *target;
  llvm::Value *channel, *low, *high;
};
void emitWinogradFilters(TileKernels &tiles, const WinogradNest &nest, int64_t rows,
                         const WinogradFilters &what);

/// V of the tiles first .. end-1, and of the channels firstChannel .. endChannel-1 of their images.
struct WinogradOperand {
  llvm::Value *images, *target, *patch; // a vector for each point
  llvm::Value *first, *end, *firstChannel, *endChannel;
};
void emitWinogradOperand(TileKernels &tiles, const WinogradNest &nest, const WinogradOperand &what);

/// A tile's block of images and the position of its first result.
struct WinogradPlace {
  llvm::Value *block, *row, *column;
};
WinogradPlace winogradPlace(Emit &e, const WinogradNest &nest, llvm::Value *tile);

/// Where in the images the tile's patch begins, in bytes: of the first channel.
llvm::Value *winogradCorner(Emit &e, const WinogradNest &nest, const WinogradPlace &place);

/// Where column `column` of an item lies in a plane of V.
llvm::Value *winogradColumn(Emit &e, const WinogradNest &nest, llvm::Value *column);

} // namespace gradc
