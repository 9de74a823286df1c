#include "codegen/cpu/winograd/winograd_weight_nest.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kVector = kVectorLanes * 4;
constexpr int64_t kEnoughItems = 8;

/// Blocks of rows whose M stays in L2, if there are items enough. Each block reads U of its panel again: instead of M written
/// and read, that pays for few tiles.
void cutRows(WinogradWeightNest &nest, int64_t l2Bytes) {
  constexpr int64_t kMostRows = 48;
  const int64_t most = l2Bytes * 6 / 10 / (nest.points() * nest.tile.vectors * kVector);
  const int64_t rows = std::clamp(most / kVectorLanes * kVectorLanes, int64_t{kVectorLanes}, kMostRows);
  const int64_t blocks = ceilDiv(nest.depth(), rows);
  if (blocks * countTiles(nest.panelRuns()) < kEnoughItems)
    return;
  // Results are made of 16 rows at a time.
  nest.blockRows = ceilDiv(ceilDiv(nest.depth(), blocks), kVectorLanes) * kVectorLanes;
}

/// V, U and M of an item may take that much of L2. Where they do not fit, M goes to L3 and back for every few tiles. While
/// it does, products fetch what those after them need; so, without segments for several items, V and U of all tiles go
/// there instead, once, if they are not too large.
void blockForCache(WinogradWeightNest &nest, int64_t l2Bytes) {
  constexpr int64_t kFewestItems = 4, kParts = 4, kFewTiles = 8, kFewestTiles = 2, kManyTiles = 8,
                    kWholeInL2 = 32;
  const int64_t pixel = nest.points() * kVector, longest = ceilDiv(nest.image.tiles(), nest.segments);
  const int64_t products = pixel * nest.depth() * nest.groups(), panels = countTiles(nest.panelRuns());
  const int64_t tile = pixel * (nest.depth() + nest.groups() * kVectorLanes); // of V and U
  const int64_t tiles = (l2Bytes * 6 / 10 - products) / tile;
  const int64_t parts = std::min(ceilDiv(kFewestItems, nest.segments), panels);
  nest.near = nest.segments > 1 && nest.segments * parts >= kFewestItems;
  nest.parts = nest.near ? parts : std::min(kParts, panels);
  nest.whole = !nest.near && tiles < kFewestTiles && nest.image.tiles() * tile <= kWholeInL2 * l2Bytes;
  const int64_t many = nest.near ? std::clamp(l2Bytes * 9 / 4 / tile, kFewestTiles, kManyTiles) : kManyTiles;
  const int64_t slabs = ceilDiv(longest, tiles >= kFewestTiles ? tiles : many);
  nest.slab = nest.whole ? nest.image.tiles() : ceilDiv(longest, slabs);
  nest.image.columns = nest.slab;
  if (nest.whole && nest.segments == 1 && nest.image.tiles() <= kFewTiles)
    cutRows(nest, l2Bytes);
  // Where M of a segment goes to memory, pairs halve that, as long as there are items enough: of 16 segments.
  if (nest.near && nest.oneSlab() && tiles < kFewestTiles && nest.segments * nest.parts >= 2 * kEnoughItems)
    nest.joined = 2;
}

} // namespace

int64_t WinogradWeightNest::gradientPlane() const {
  return winogradPlane(slab * kVectorLanes * groups() * kVector);
}
int64_t WinogradWeightNest::productPlane() const {
  return winogradPlane((blockRows ? blockRows * tile.vectors : depth() * groups()) * kVector);
}

WinogradWeightNest planWinogradWeight(const Function &fn, OpId id, RegisterTile tile, int64_t l2Bytes) {
  CHECK(!winogradObjection(fn, id));
  const OpData &op = fn[id];
  const Shape &x = fn.type(op.operands[0]).shape, &dy = fn.type(op.operands[1]).shape;
  const std::vector<int64_t> padding = withDefaults(*op.def, op.attrs).ints("padding");
  WinogradWeightNest nest;
  nest.image.blocks = laneBlocks(x[0]);
  nest.image.depth = x[1];
  nest.image.inHeight = x[2];
  nest.image.inWidth = x[3];
  nest.image.outHeight = dy[2];
  nest.image.outWidth = dy[3];
  nest.image.inTop = -padding[0];
  nest.image.inLeft = -padding[2];
  nest.image.algorithm = winogradOf(fn, id);
  nest.gradient = nest.image.algorithm.swapped();
  nest.channels = dy[1];
  nest.tile = tile;
  nest.segments = winogradSegments(fn, id);
  blockForCache(nest, l2Bytes);
  return nest;
}

llvm::Value *gradientCorner(Emit &e, const WinogradWeightNest &nest, const WinogradPlace &place) {
  return e.add(e.mul(place.block, nest.channels * nest.channel()),
               e.add(e.mul(place.row, nest.row()), e.mul(place.column, kVector)));
}

} // namespace gradc
