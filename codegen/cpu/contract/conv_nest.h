// Convolutions and their gradients towards the input, with 16 images in the lanes (layout n16), as register tiles
// of channels × pixels of one row. Weights are scalars that are broadcast.
//
// As they lie, neighbours along the chain (kernel row, column, channel) are far apart: a step of a tile touches a
// cache line for every weight, and channels of images a power of two apart compete for the same few sets of the
// cache. So where there is work enough, a step of its own brings the weights into the order of the tiles, and an item
// copies the rows of the operand that it reads, pixel by pixel, into scratch memory. Items that share these rows follow
// each other, and a thread copies them once.
//
// Of taps that do not exist (conv_axis.h): above and below, the loop over the kernel's rows gets shorter at run time;
// left and right, tiles at the border are code of their own that leaves the taps out.
#pragma once

#include "codegen/cpu/contract/conv_operands.h"
#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

/// An image of the operands is a block of 16.
struct ConvNest : ConvOperands {
  int64_t blocks = 1;
  int64_t kernelHeight = 1, kernelWidth = 1;
  RegisterTile tile;
  // How an item goes through the result: a tile of channels of so many rows of a phase.
  int64_t bandRows = 1;
  bool packWeights = false; // read [tile of channels][kernel row][column][depth][channel]
  bool packInput = false;   // read [row][column][depth] in scratch memory

  int64_t items() const;
  int64_t channelTiles() const { return countTiles(balancedTiles(channels, tile.rows)); }
  /// Bands of rows of the result, host phase by host phase: runs of at most bandRows rows, of which the last may be
  /// shorter.
  std::vector<TileRun> bands() const;
  /// The most rows of the operand that so many rows of the result read.
  int64_t bandInputRows(int64_t rows) const;
  int64_t scratchBytes() const;
  /// All weights of one channel of the result, and of all channels; 0: used as they lie.
  int64_t packedChannelBytes() const;
  int64_t packedWeightBytes() const;
  /// From pixel to pixel of the copy, which is no multiple of a page.
  int64_t packedPixel() const;
};

/// Chooses what is packed and the rows of an item, for the nest's tile and the cache of a core. Neutral in bits.
void blockForCache(ConvNest &nest, int64_t l2Bytes);

/// Emits the loop over the grid items of the step that packs the weights, in the kernel function at the insertion
/// point: a tile of channels each.
void emitPackWeights(Emit &e, const ConvNest &nest, llvm::Value *weights, llvm::Value *packed);
int64_t packWeightsItems(const ConvNest &nest);

/// Emits the loop over grid items in the kernel function at the insertion point. `weights` are the packed ones, where
/// the nest says so.
void emitNest(TileKernels &tiles, const ConvNest &nest, llvm::Value *weights, llvm::Value *input);

} // namespace gradc
