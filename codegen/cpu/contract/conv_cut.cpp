// How convolutions and their gradients towards the input are cut into items, and what is packed for them.
#include <algorithm>
#include <cstdlib>

#include "codegen/cpu/contract/conv_nest.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kPixel = kVectorLanes * kFloat;

} // namespace

std::vector<TileRun> ConvNest::bands() const {
  std::vector<TileRun> runs;
  for (int phase : hostPhases(height)) {
    const int64_t count = height.phases[phase].count, rows = ceilDiv(count, ceilDiv(count, bandRows));
    runs.push_back({0, rows, ceilDiv(count, rows)});
  }
  return runs;
}

int64_t ConvNest::bandInputRows(int64_t rows) const {
  int64_t most = 0;
  for (const ConvPhase &phase : height.phases) {
    const int64_t outs = std::min(rows, phase.count) - 1, taps = std::max<int64_t>(phase.taps, 1) - 1;
    most = std::max(most, outs * phase.inPerOut + taps * std::abs(phase.inPerTap) + 1);
  }
  return std::min(most, height.inSize);
}

int64_t ConvNest::items() const { return blocks * countTiles(bands()) * groups * channelTiles(); }

int64_t ConvNest::packedPixel() const {
  constexpr int64_t kPage = 4096;
  return depth * kPixel + (depth * kPixel % kPage == 0 ? kPixel : 0);
}

int64_t ConvNest::scratchBytes() const {
  return packInput ? bandInputRows(bandRows) * width.inSize * packedPixel() : 0;
}

int64_t ConvNest::packedChannelBytes() const { return kernelHeight * kernelWidth * depth * kFloat; }

int64_t ConvNest::packedWeightBytes() const {
  return packWeights ? groups * channels * packedChannelBytes() : 0;
}

void blockForCache(ConvNest &nest, int64_t l2Bytes) {
  // A copied vector must feed so many multiply-adds that the copy does not show.
  constexpr int64_t kEnoughUses = 64, kEnoughDepth = 8, kEnoughItems = 32;
  nest.packWeights = nest.depth * nest.kernelHeight * nest.kernelWidth * nest.channels >= 4096;
  nest.packInput = nest.depth >= kEnoughDepth && nest.channels * nest.kernelWidth >= kEnoughUses;
  nest.bandRows = 1;
  if (!nest.packInput)
    return;
  const int64_t budget = l2Bytes / 2, most = l2Bytes * 7 / 8;
  if (nest.scratchBytes() > most) {
    nest.packInput = false;
    return;
  }
  auto better = [&](int64_t rows) {
    ConvNest longer = nest;
    longer.bandRows = rows;
    return longer.scratchBytes() <= budget &&
           longer.blocks * countTiles(longer.bands()) * longer.groups >= kEnoughItems;
  };
  int64_t rows = 1; // of the largest phase
  for (const ConvPhase &phase : nest.height.phases)
    rows = std::max(rows, phase.count);
  while (nest.bandRows < rows && better(nest.bandRows + 1))
    ++nest.bandRows;
}

} // namespace gradc
