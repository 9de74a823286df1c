// How the gradients of a convolution's weights are cut into items and steps.
#include <algorithm>

#include "codegen/cpu/contract/conv_taps_nest.h"
#include "codegen/cpu/contract/conv_weight_nest.h"

namespace gradc {
namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

} // namespace

int64_t ConvWeightNest::items() const {
  return segments * groups * ceilDiv(countTiles(channelRuns()), channelTiles) * ceilDiv(depth, depthTile);
}

int64_t ConvWeightNest::scratchBytes() const {
  if (blocks / segments * ceilDiv(height.gradSize, bandRows) == 1)
    return 0;
  const int64_t depths = columnsAreDepth() ? 1 : depthTile;
  return depths * height.taps * countTiles(balancedTiles(columns(), tile.vectors)) * channelTiles *
         partialBytes();
}

namespace {

/// What an item may be: enough items for some threads, whose sums stay in L2.
bool isItem(const ConvWeightNest &nest, int64_t l2Bytes) {
  constexpr int64_t kFewItems = 6;
  return nest.items() >= kFewItems && nest.scratchBytes() <= l2Bytes / 4;
}

/// Rather more than half of the cache, as two of 128 channels on 8×8 take with their odd lines: beside them is one tile's.
bool imagesStay(const ConvWeightNest &nest, int64_t l2Bytes) {
  return nest.blocks * nest.inBlock <= l2Bytes * 9 / 16;
}

/// Images that stay in no cache should be read by few items.
void chooseChannelTiles(ConvWeightNest &nest, int64_t l2Bytes) {
  if (imagesStay(nest, l2Bytes))
    return;
  const int64_t all = countTiles(nest.channelRuns());
  for (int64_t tiles = 2; tiles <= all; ++tiles) {
    ConvWeightNest larger = nest;
    larger.channelTiles = tiles;
    if (isItem(larger, l2Bytes))
      nest.channelTiles = tiles;
  }
  nest.channelTiles = ceilDiv(all, ceilDiv(all, nest.channelTiles)); // items of about one size
}

/// The same of a 1×1 kernel, whose items may take a part of the input channels, too: an item of as many channels of one
/// side as of the other reads the least.
void chooseChannels(ConvWeightNest &nest, int64_t l2Bytes) {
  if (imagesStay(nest, l2Bytes))
    return;
  chooseChannelTiles(nest, l2Bytes);
  const int64_t all = countTiles(nest.channelRuns());
  auto channelsRead = [&](const ConvWeightNest &n) {
    return n.depth * ceilDiv(all, n.channelTiles) + n.channels * (n.depth / n.depthTile);
  };
  for (int64_t parts = 1; parts <= nest.depth / nest.tile.vectors; ++parts)
    for (int64_t split = 1; nest.depth % parts == 0 && split <= all; ++split) {
      ConvWeightNest other = nest;
      other.depthTile = nest.depth / parts;
      other.channelTiles = ceilDiv(all, split);
      if (isItem(other, l2Bytes) && channelsRead(other) < channelsRead(nest))
        nest = other;
    }
}

/// Makes the nest read what a step before has gathered, where it pays. Sums of segments have the workspace.
void gatherInput(ConvWeightNest &nest) {
  const bool strided = nest.height.stride > 1 || nest.width.stride > 1;
  auto padded = [](const ConvWeightAxis &axis) {
    return axis.padding > 0 || (axis.gradSize - 1) * axis.stride >= axis.inSize;
  };
  if (!nest.columnsAreDepth() || !strided || nest.segments > 1 || padded(nest.height) || padded(nest.width))
    return;
  nest.gathers = true;
  nest.sourceDepth = nest.inDepth;
  nest.sourceRow = nest.height.stride * nest.inRow;
  nest.sourcePixel = nest.width.stride * kPixel;
  nest.height = {nest.height.gradSize, nest.height.gradSize};
  nest.width = {nest.width.gradSize, nest.width.gradSize};
  nest.inRow = nest.width.inSize * kPixel;
  nest.inDepth = (nest.height.inSize * nest.width.inSize | 1) * kPixel; // planes an odd number of lines apart
  nest.inGroup = nest.depth * nest.inDepth;
  nest.inBlock = nest.groups * nest.inGroup;
}

} // namespace

void blockForCache(ConvWeightNest &nest, int64_t l1Bytes, int64_t l2Bytes) {
  // More input channels an item read the gradient fewer times, as long as there are items for many threads.
  constexpr int64_t kEnoughItems = 32;
  nest.depthTile = nest.channelTiles = nest.bandRows = 1;
  gatherInput(nest);
  if (nest.columnsAreDepth()) {
    nest.depthTile = nest.depth;
  } else {
    const int64_t once = nest.scratchBytes(), items = nest.items();
    nest.depthTile = std::clamp<int64_t>(std::min(items / kEnoughItems, l1Bytes / std::max<int64_t>(once, 1)),
                                         1, nest.depth);
  }
  constexpr int64_t kWay = 4096; // bytes of one way: lines that far apart compete for a set
  const int64_t gradRow = nest.width.gradSize * kPixel, inRow = nest.width.inSize * kPixel;
  const int64_t halo = (nest.height.taps - 1) * nest.height.dilation;
  const bool conflicts = nest.gradChannel % kWay == 0; // the rows of all channels compete
  auto bytes = [&](int64_t rows) {
    const int64_t grad = conflicts ? ceilDiv(rows * gradRow, kWay) * kWay : rows * gradRow;
    return nest.tile.rows * grad + (rows * nest.height.stride + halo) * inRow;
  };
  // Bands of about one size.
  auto cutBands = [&](auto &&fits) {
    int64_t rows = nest.height.gradSize;
    while (rows > 1 && !fits(rows))
      --rows;
    nest.bandRows = ceilDiv(nest.height.gradSize, ceilDiv(nest.height.gradSize, rows));
  };
  auto fitsL1 = [&](int64_t rows) { return bytes(rows) <= l1Bytes * 7 / 8; };
  cutBands(fitsL1);
  if (nest.columnsAreDepth()) {
    chooseChannels(nest, l2Bytes);
    // What an item reads of a band is there for all of its tiles.
    const int64_t lines = nest.channelTiles * nest.tile.rows + nest.depthTile;
    cutBands([&](int64_t rows) {
      return fitsL1(rows) && (nest.depthTile == nest.depth || lines * rows * gradRow <= l2Bytes / 2);
    });
  } else if (bytes(nest.bandRows) > l1Bytes) { // else a band of the input is in L1 for all taps, as it is
    chooseChannelTiles(nest, l2Bytes);
  }
}

int64_t ConvTapsNest::items() const {
  return segments * groups * ceilDiv(countTiles(channelRuns()), channelTiles) * ceilDiv(depth, depthTile);
}

int64_t ConvTapsNest::steps() const {
  return blocks / segments / stepBlocks * ceilDiv(height.gradSize, stepRows);
}

int64_t ConvTapsNest::scratchBytes() const {
  return steps() == 1
             ? 0
             : channelTiles * depthTile * countTiles(balancedTiles(taps(), tile.vectors)) * partialBytes();
}

namespace {

/// Bytes of both operands that all items together read from beyond the cache: an item reads the gradient of its
/// channels once, and its input channels once for all items that have them where it has a single step.
int64_t bytesRead(const ConvTapsNest &nest) {
  const int64_t input = nest.depth * nest.height.inSize * nest.width.inSize;
  const int64_t grad = nest.channels * nest.height.gradSize * nest.width.gradSize;
  const int64_t parts = ceilDiv(countTiles(nest.channelRuns()), nest.channelTiles);
  return nest.blocks * kPixel *
         (input * (nest.steps() == 1 ? 1 : parts) + grad * ceilDiv(nest.depth, nest.depthTile));
}

/// What an item may be, as long as there are items for some threads: three eighths of the cache hold the input
/// channels of a step, a quarter the accumulators that wait.
bool fitsCache(const ConvTapsNest &nest, int64_t l2Bytes) {
  constexpr int64_t kEnoughItems = 16;
  const int64_t planes = nest.stepBlocks * nest.height.inSize * nest.width.inSize * kPixel;
  return (nest.depthTile == 1 || nest.depthTile * planes <= l2Bytes * 3 / 8) &&
         nest.scratchBytes() <= l2Bytes / 4 && nest.items() >= kEnoughItems;
}

/// The input channels and tiles of channels of an item that read the least for the nest's steps.
ConvTapsNest bestItem(ConvTapsNest nest, int64_t l2Bytes) {
  nest.depthTile = nest.channelTiles = 1;
  ConvTapsNest best = nest;
  for (nest.depthTile = 1; nest.depthTile <= nest.depth; ++nest.depthTile)
    for (nest.channelTiles = 1; nest.channelTiles <= countTiles(nest.channelRuns()); ++nest.channelTiles)
      if (fitsCache(nest, l2Bytes) && bytesRead(nest) < bytesRead(best))
        best = nest;
  return best;
}

} // namespace

void blockForCache(ConvTapsNest &nest, int64_t l2Bytes) {
  // The gradient of a tile stays in one part of the cache, the input channels of an item in another.
  const int64_t gradRow = nest.tile.rows * nest.width.gradSize * kPixel, blocks = nest.blocks / nest.segments;
  nest.stepRows = std::clamp<int64_t>(l2Bytes / 2 / gradRow, 1, nest.height.gradSize);
  nest.stepBlocks = 1;
  ConvTapsNest best = bestItem(nest, l2Bytes);
  nest.stepBlocks = blocks;
  if (nest.stepRows * blocks * gradRow <= l2Bytes / 2)
    if (const ConvTapsNest whole = bestItem(nest, l2Bytes); bytesRead(whole) <= bytesRead(best))
      best = whole;
  nest = best;
}

} // namespace gradc
