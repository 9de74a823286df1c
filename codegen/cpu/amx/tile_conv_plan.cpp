#include <algorithm>

#include "codegen/cpu/amx/tile_conv.h"
#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/amx/tile_product.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {

int64_t firstPosition(const ConvPhase &phase) {
  return phase.inStart + std::min<int64_t>(phase.inPerTap, 0) * (phase.taps - 1);
}

TileConvSizes::TileConvSizes(const TileConv &plan) : pairs(ceilDiv(plan.depth, 2)), plan_(plan) {
  for (const ConvPhase &phase : plan.width.phases)
    if (phase.taps > 0) {
      low = std::min(low, firstPosition(phase));
      high = std::max(high, firstPosition(phase) + (phase.count - 1) * phase.inPerOut + phase.taps);
    }
}

bool TileConvSizes::wholePixels() const { return pairs % kTileRows == 0; }

TileConvSizes::Walk TileConvSizes::walk(const ConvPhase &phase) const {
  if (phase.taps == 0)
    return {};
  return wholePixels() ? Walk{phase.taps, pairs / kTileRows}
                       : Walk{1, ceilDiv(phase.taps * pairs, kTileRows)};
}

/// A page from pixel to pixel would make them compete for the same sets of the cache.
int64_t TileConvSizes::pixelPitch() const {
  constexpr int64_t kPage = 4096;
  return pairs * kLine + (wholePixels() && pairs * kLine % kPage == 0 ? kLine : 0);
}

int64_t TileConvSizes::slack() const { return wholePixels() ? 0 : kTileBytes - kLine; }

int64_t TileConvSizes::bands() const {
  int64_t count = 0;
  for (const ConvPhase &phase : plan_.height.phases)
    count += ceilDiv(phase.count, plan_.bandRows);
  return count;
}

int64_t TileConvSizes::operandBytes() const {
  int64_t rows = 0;
  for (const ConvPhase &phase : plan_.height.phases)
    rows = std::max(rows, (std::min(plan_.bandRows, phase.count) - 1) * phase.inPerOut +
                              std::max<int64_t>(phase.taps, 1));
  return std::min(rows, plan_.height.inSize) * rowPitch();
}

namespace {

/// As many rows as half of the cache holds, fewer where items would be too few for many threads; but each item reads
/// all weights.
void chooseBand(TileConv &plan, int64_t l2Bytes) {
  constexpr int64_t kEnoughItems = 8, kEnoughPixels = 32;
  int64_t rows = 0;
  for (const ConvPhase &phase : plan.height.phases)
    rows = std::max(rows, phase.count);
  auto better = [&](int64_t bandRows) {
    TileConv longer = plan;
    longer.bandRows = bandRows;
    const TileConvSizes sizes(longer);
    return sizes.operandBytes() <= l2Bytes / 2 &&
           (plan.blocks * sizes.bands() >= kEnoughItems ||
            plan.bandRows * plan.width.phases[0].count < kEnoughPixels);
  };
  while (plan.bandRows < rows && better(plan.bandRows + 1))
    ++plan.bandRows;
}

} // namespace

TileConv planTileConv(const Function &fn, OpId op, int64_t l2Bytes) {
  const OpData &data = fn[op];
  const Dict attrs = withDefaults(*data.def, data.attrs);
  const bool gradient = data.def->name == "conv2d_grad_input";
  const Type &in = fn.type(packedFrom(fn, data.operands[0])), &w = fn.type(packedFrom(fn, data.operands[1]));
  const Shape &out = fn.type(data.results[0]).shape;
  TileConv plan{convOperands(in, w, out, attrs, gradient)};
  plan.blocks = laneBlocks(out[0]);
  plan.weightType = w.dtype;
  plan.inputType = in.dtype;
  chooseBand(plan, l2Bytes);
  return plan;
}

} // namespace gradc
