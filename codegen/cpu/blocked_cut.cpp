// How a large product is cut into blocks.
#include <algorithm>

#include "codegen/cpu/blocked_nest.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
/// What an item keeps in the second cache: its panels; its rows; its sums between blocks of the depth.
constexpr int64_t kPanelBytes = 512 << 10, kRowBytes = 512 << 10, kSumBytes = 512 << 10;
constexpr int64_t kOperandBytes = 1 << 20, kFewRows = 128, kFewColumns = 64, kFewDepths = 64;
/// Enough items for several threads, and enough rows in each to pay for packing the panels.
constexpr int64_t kItems = 4, kRowsPerItem = 64;

} // namespace

int64_t BlockedNest::panelBytes() const { return depthBlock * tile.vectors * kVector; }
int64_t BlockedNest::sumBytes() const { return tile.rows * tile.vectors * kVector; }

BlockedNest::Scratch BlockedNest::scratch() const {
  Scratch map;
  map.rows = panels * panelBytes();
  map.sums = map.rows + (packsRows() ? rowTiles * tile.rows * depthBlock * kFloat : 0);
  map.sums = ceilDiv(map.sums, kVector) * kVector;
  map.end = map.sums + (depthBlocks() > 1 ? rowTiles * panels * sumBytes() : 0);
  return map;
}

int64_t BlockedNest::items() const {
  return ceilDiv(ceilDiv(rows, tile.rows), rowTiles) * ceilDiv(ceilDiv(columns, tile.vectors), panels);
}

bool wantsBlocks(int64_t rows, int64_t columnLanes, int64_t depth) {
  return rows >= kFewRows && columnLanes >= kFewColumns && depth >= kFewDepths &&
         (rows + columnLanes) * depth * kFloat > kOperandBytes;
}

namespace {

/// How an item is cut out of the result, and the bytes that all items together read of the operands.
struct Cut {
  int64_t rowBlocks = 1, columnBlocks = 1;
  double bytes = 0;
};

/// The fewest blocks of rows for so many blocks of columns: rows and waiting sums stay in the second cache, and there
/// are items for several threads.
Cut cutFor(const BlockedNest &nest, int64_t panels) {
  const int64_t tiles = ceilDiv(nest.rows, nest.tile.rows),
                allPanels = ceilDiv(nest.columns, nest.tile.vectors);
  int64_t mostTiles = kRowBytes / (nest.tile.rows * nest.depthBlock * kFloat);
  if (nest.depthBlocks() > 1)
    mostTiles = std::min(mostTiles, kSumBytes / (panels * nest.sumBytes()));
  Cut cut;
  cut.columnBlocks = ceilDiv(allPanels, panels);
  cut.rowBlocks = std::max(ceilDiv(tiles, std::max<int64_t>(1, mostTiles)),
                           std::min(ceilDiv(kItems, cut.columnBlocks), ceilDiv(nest.rows, kRowsPerItem)));
  while (cut.rowBlocks * cut.columnBlocks % kItems != 0 && cut.rowBlocks < tiles)
    ++cut.rowBlocks;
  cut.bytes = static_cast<double>(nest.depth * kFloat) *
              static_cast<double>(cut.rowBlocks * nest.columns * kVectorLanes + cut.columnBlocks * nest.rows);
  return cut;
}

} // namespace

void chooseBlocks(BlockedNest &nest, int64_t l1Bytes) {
  // Two thirds of the first cache for a panel; blocks of the depth alike.
  const int64_t most = std::max<int64_t>(kVectorLanes, l1Bytes * 2 / 3 / (nest.tile.vectors * kVector));
  const int64_t even = ceilDiv(nest.depth, ceilDiv(nest.depth, most));
  nest.depthBlock =
      nest.depth <= most ? nest.depth : ceilDiv(even, BlockedNest::kDepthUnit) * BlockedNest::kDepthUnit;
  const int64_t allPanels = ceilDiv(nest.columns, nest.tile.vectors);
  Cut best = cutFor(nest, 1);
  for (int64_t panels = 2; panels <= std::min(allPanels, kPanelBytes / nest.panelBytes()); ++panels)
    if (Cut cut = cutFor(nest, panels); cut.bytes < best.bytes)
      best = cut;
  nest.panels = ceilDiv(allPanels, best.columnBlocks);
  nest.rowTiles = ceilDiv(ceilDiv(nest.rows, nest.tile.rows), best.rowBlocks);
}

} // namespace gradc
