// Gradients of convolutions with small kernels towards the weights, with 16 images in the lanes (layout n16): a tile
// is result channels × all taps. The taps share what they read of the input, which stays in L1, so that few vectors
// of the gradient and one of the input have to come from beyond for many multiply-adds.
//
// An item is some channels of the gradient for some of the input. Accumulators stay in registers for all images where
// a tile's gradient and the input channels fit L2, so that the items after it find these there; else an item goes
// through blocks of images and bands of rows, each for all of its tiles, and they wait in scratch memory.
#pragma once

#include "codegen/cpu/contract/conv_weight_nest.h"

namespace gradc {

struct ConvTapsNest : ConvWeightOperands {
  RegisterTile tile; // rows: channels; vectors: taps
  // An item is `depthTile` input channels and `channelTiles` tiles of channels of the gradient, and a step of it
  // `stepBlocks` blocks and `stepRows` rows of the gradient.
  int64_t depthTile = 1, channelTiles = 1, stepBlocks = 1, stepRows = 1;
  /// Where taps read is no matter of rows and pixels: their distances, in bytes. Then all of them exist everywhere.
  std::vector<int64_t> tapOffsets;

  int64_t taps() const { return height.taps * width.taps; }
  std::vector<TileRun> channelRuns() const { return balancedTiles(channels, tile.rows); }
  int64_t items() const;
  int64_t steps() const; // of an item
  int64_t partialBytes() const { return tile.rows * tile.vectors * kVectorLanes * 4; }
  int64_t scratchBytes() const;
};

/// Chooses what an item and its steps are, for the nest's tile and the cache of a core. Neutral in bits.
void blockForCache(ConvTapsNest &nest, int64_t l2Bytes);

/// Emits the loop over grid items in the kernel function at the insertion point.
void emitNest(TileKernels &tiles, const ConvTapsNest &nest, llvm::Value *grad, llvm::Value *input);

} // namespace gradc
