// Gradients of convolutions towards the weights, with 16 images in the lanes (layout n16): both operands are
// vectors, a tile is result channels × taps, and each lane of an accumulator is one chain over (block of images,
// row, column) of the result's gradient. In the end the 16 lanes are summed as a binary tree.
//
// An item is all taps of some channels: it goes through the images in bands of rows that stay in L1 while all taps
// use them. A row of the input that is there serves several tiles of channels.
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

/// Along one dimension, gradient position o and tap t meet input position o·stride - padding + t·dilation, where
/// that exists.
struct ConvWeightAxis {
  int64_t inSize = 1, gradSize = 1, taps = 1, stride = 1, dilation = 1, padding = 0;
};

/// Positions of a gradient row or column at which the same taps exist: bit t of `taps` stands for tap firstTap + t.
struct TapSegment {
  int64_t start = 0, count = 0;
  uint32_t taps = 0;
  bool operator==(const TapSegment &) const = default;
};
std::vector<TapSegment> tapSegments(const ConvWeightAxis &axis, int64_t firstTap, int64_t taps);

/// What a weight gradient is, however it is walked. Strides in bytes. The result is
/// [groups·channels, depth, height.taps, width.taps] in row-major order.
struct ConvWeightOperands {
  int64_t blocks = 1, groups = 1, channels = 1,
          depth = 1; // channels of the gradient and of the input per group
  ConvWeightAxis height, width;
  int64_t gradBlock = 0, gradGroup = 0, gradChannel = 0, gradRow = 0; // a pixel is 64 bytes
  int64_t inBlock = 0, inGroup = 0, inDepth = 0, inRow = 0;
  /// Blocks are cut into so many segments with sums of their own: the stored index has a leading dimension for them.
  int64_t segments = 1;
};

/// The columns of a tile, and which of an item's tiles of columns it is.
struct ColumnTile {
  int64_t start, size, number;
};
std::vector<ColumnTile> columnTiles(int64_t columns, int64_t tileSize);

struct ConvWeightNest : ConvWeightOperands {
  // An item is `depthTile` input channels and `channelTiles` tiles of channels of the gradient, which go through the
  // images in bands of `bandRows` rows of the gradient. Of a 1×1 kernel depthTile divides the input channels.
  int64_t depthTile = 1, channelTiles = 1, bandRows = 1;
  RegisterTile tile; // rows: channels; vectors: taps of one kernel row, or input channels of a 1×1 kernel
  /// A 1×1 kernel with strides reads few pixels of large planes, which meet in few sets of the caches: a step before
  /// copies them, and the input is what it made. Strides of the input as it lies.
  bool gathers = false;
  int64_t sourceDepth = 0, sourceRow = 0, sourcePixel = 0;

  /// The columns of a tile are input channels, because a kernel row has one tap.
  bool columnsAreDepth() const { return height.taps == 1 && width.taps == 1; }
  int64_t columns() const { return columnsAreDepth() ? depthTile : width.taps; } // of an item's input channel
  /// A step of a 1×1 kernel goes through planes that have no gaps in either operand.
  bool wholePlanes() const {
    return columnsAreDepth() && bandRows == height.gradSize && height.inSize == height.gradSize &&
           width.inSize == width.gradSize && height.padding == 0 && width.padding == 0;
  }
  std::vector<TileRun> channelRuns() const { return balancedTiles(channels, tile.rows); }
  int64_t items() const;
  /// The accumulators of one tile, and of all tiles of an item.
  int64_t partialBytes() const { return tile.rows * tile.vectors * kVectorLanes * 4; }
  int64_t scratchBytes() const;
  int64_t gatheredBytes() const { return gathers ? blocks * inBlock : 0; }
};

/// Chooses depthTile, channelTiles and bandRows for the nest's tile and caches of that size. Neutral in bits.
void blockForCache(ConvWeightNest &nest, int64_t l1Bytes, int64_t l2Bytes);

/// Where the nest gathers, the loop over the items of that step, which are planes of the input.
int64_t gatherItems(const ConvWeightNest &nest);
void emitGather(Emit &e, const ConvWeightNest &nest, llvm::Value *input, llvm::Value *gathered);

/// Emits the loop over grid items in the kernel function at the insertion point.
void emitNest(TileKernels &tiles, const ConvWeightNest &nest, llvm::Value *grad, llvm::Value *input);

} // namespace gradc
