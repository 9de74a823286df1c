// How a large product is cut into blocks.
#include <algorithm>
#include <numeric>

#include "codegen/cpu/contract/blocked_nest.h"
#include "codegen/cpu/contract/matmul_nest.h"
#include "ir/layout.h"

namespace gradc {
namespace {

using Storage = BlockedNest::Storage;
constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
constexpr int64_t kPage = 4096;
constexpr int64_t kOperandBytes = 1200 << 10, kFewRows = 16, kFewColumns = 16, kFewDepths = 64;
/// Enough items for several threads, and enough rows in each to pay for packing the panels.
constexpr int64_t kItems = 4, kRowsPerItem = 64;

} // namespace

int64_t BlockedNest::panelBytes() const { return depthBlock * tile.vectors * kVector; }
int64_t BlockedNest::sumBytes() const { return tile.rows * tile.vectors * kVector; }

bool BlockedNest::packsRows() const {
  constexpr int64_t kWays = 8;
  switch (row.storage) {
  case Storage::DepthInner: return row.pitch % kPage == 0 && tile.rows > kWays;
  case Storage::IndexInner: return panels > fewPanels;
  case Storage::Blocks: return row.pitch % kPage == 0;
  }
  return true;
}

BlockedNest::Operand BlockedNest::readRows() const {
  if (!packsRows())
    return row;
  auto padded = [](int64_t bytes) { return (ceilDiv(bytes, kVector) + 1) * kVector; };
  switch (row.storage) {
  case Storage::DepthInner: return {row.storage, padded(depthBlock * kFloat)};
  case Storage::IndexInner: return {row.storage, padded(blockRows() * kFloat)};
  case Storage::Blocks: return {row.storage, padded(blockRows() * kVector)};
  }
  return row;
}

BlockedNest::Scratch BlockedNest::scratch() const {
  const int64_t pitch = readRows().pitch;
  int64_t runs = 0;
  if (packsRows())
    runs = row.storage == Storage::DepthInner   ? blockRows()
           : row.storage == Storage::IndexInner ? depthBlock
                                                : ceilDiv(depthBlock, kDepthUnit);
  Scratch map;
  map.rows = panels * panelBytes();
  map.sums = map.rows + runs * pitch;
  map.end = map.sums + (depthBlocks() > 1 ? rowTiles * panels * sumBytes() : 0);
  return map;
}

int64_t BlockedNest::items() const {
  return segments * ceilDiv(ceilDiv(rows, tile.rows), rowTiles) *
         ceilDiv(ceilDiv(columns, tile.vectors), panels);
}

bool wantsBlocks(int64_t rows, int64_t columnLanes, int64_t depth) {
  // Rows a page apart lie in few sets of the first cache until they are packed.
  constexpr int64_t kPagesBytes = 1000 << 10;
  const int64_t most = columnLanes * kFloat % kPage == 0 ? kPagesBytes : kOperandBytes;
  return rows >= kFewRows && columnLanes >= kFewColumns && depth >= kFewDepths &&
         (rows + columnLanes) * depth * kFloat > most;
}

bool wantsPanels(int64_t units, int64_t inputs, int64_t examples, RegisterTile tile, int64_t l1Bytes) {
  constexpr int64_t kWay = 4096, kFar = 2048;
  const int64_t apart = std::gcd(inputs * kFloat, kWay); // how far apart a panel's lines lie within a way
  return tile.vectors == 1 && apart >= kFar && examples * apart > 2 * l1Bytes &&
         units >= std::max<int64_t>(64, inputs / 32); // enough to pay for copying all inputs in each item
}

bool wantsBlocks(int64_t units, int64_t examples, int64_t depth, bool transposed, int64_t l2Bytes) {
  // Units that lie one after the other are read in their order, as long as a strip of the examples stays in a cache.
  const int64_t strip = laneBlocks(examples) * MatmulNest::kLongRuns * kVector;
  if (!transposed && laneBlocks(examples) == 1)
    return false; // each weight is used once: a copy of it costs more than the rest
  return units >= kFewRows && depth >= kFewDepths && units * depth * kFloat > l2Bytes &&
         !(transposed && strip <= l2Bytes / 4);
}

namespace {

/// How an item is cut out of the result, and the bytes that all items together read of the operands, more where threads
/// would wait for each other.
struct Cut {
  int64_t rowBlocks = 1, columnBlocks = 1;
  double bytes = 0;
};

/// The fewest blocks of rows for so many blocks of columns: rows and waiting sums stay in the second cache, and there
/// are items for several threads.
Cut cutFor(const BlockedNest &nest, int64_t panels, int64_t l2Bytes) {
  const int64_t tiles = ceilDiv(nest.rows, nest.tile.rows),
                allPanels = ceilDiv(nest.columns, nest.tile.vectors);
  int64_t mostTiles = tiles;
  if (!nest.wholeDepth)
    mostTiles = l2Bytes / 4 / (nest.tile.rows * nest.depthBlock * kFloat);
  if (nest.depthBlocks() > 1)
    mostTiles = std::min(mostTiles, l2Bytes / 2 / (panels * nest.sumBytes()));
  Cut cut;
  cut.columnBlocks = ceilDiv(allPanels, panels);
  const int64_t items = ceilDiv(kItems, nest.segments); // of each segment
  cut.rowBlocks = std::max(ceilDiv(tiles, std::max<int64_t>(1, mostTiles)),
                           std::min(ceilDiv(items, cut.columnBlocks), ceilDiv(nest.rows, kRowsPerItem)));
  while (cut.rowBlocks * cut.columnBlocks % items != 0 && (cut.rowBlocks + 1) * kRowsPerItem <= nest.rows)
    ++cut.rowBlocks;
  cut.bytes = static_cast<double>(nest.depth * kFloat) *
              static_cast<double>(cut.rowBlocks * nest.columns * kVectorLanes + cut.columnBlocks * nest.rows);
  const int64_t total = cut.rowBlocks * cut.columnBlocks, turns = ceilDiv(total, items);
  cut.bytes *= static_cast<double>(turns * items) / static_cast<double>(total);
  return cut;
}

/// Blocks of the depth alike, so that two thirds of the first cache hold a panel.
void cutDepth(BlockedNest &nest, int64_t l1Bytes) {
  constexpr int64_t kMost = 128; // rows of the depth are read in runs that are longer for it
  const int64_t most =
      std::clamp<int64_t>(l1Bytes * 2 / 3 / (nest.tile.vectors * kVector), kVectorLanes, kMost);
  const int64_t even = ceilDiv(nest.depth, ceilDiv(nest.depth, most));
  nest.depthBlock =
      nest.depth <= most ? nest.depth : ceilDiv(even, BlockedNest::kDepthUnit) * BlockedNest::kDepthUnit;
}

/// Panels of the whole depth, some for each tile of rows. A tile of neighbouring rows takes a piece of each line, and
/// the next tile would have to fetch them again.
bool fitsWhole(const BlockedNest &nest, int64_t l2Bytes) {
  constexpr int64_t kPanels = 4;
  const int64_t panels = std::min(kPanels, ceilDiv(nest.columns, nest.tile.vectors));
  return nest.row.storage != Storage::IndexInner &&
         panels * nest.depth * nest.tile.vectors * kVector <= l2Bytes / 2;
}

} // namespace

void chooseBlocks(BlockedNest &nest, int64_t l1Bytes, int64_t l2Bytes) {
  nest.wholeDepth = fitsWhole(nest, l2Bytes);
  nest.depthBlock = nest.depth;
  if (!nest.wholeDepth)
    cutDepth(nest, l1Bytes);
  // The block and the next one, which is fetched meanwhile, in half of what the second cache has for lines so far apart.
  const int64_t apart = nest.row.pitch & -nest.row.pitch; // the power of two in it
  nest.fewPanels = apart >= kPage && 2 * nest.depthBlock > l2Bytes / apart / 2 ? 1 : 2;
  const int64_t allPanels = ceilDiv(nest.columns, nest.tile.vectors);
  const int64_t panelBytes = nest.wholeDepth ? l2Bytes / 2 : l2Bytes / 4;
  Cut best = cutFor(nest, 1, l2Bytes);
  for (int64_t panels = 2; panels <= std::min(allPanels, panelBytes / nest.panelBytes()); ++panels)
    if (Cut cut = cutFor(nest, panels, l2Bytes); cut.bytes < best.bytes)
      best = cut;
  nest.panels = ceilDiv(allPanels, best.columnBlocks);
  nest.rowTiles = ceilDiv(ceilDiv(nest.rows, nest.tile.rows), best.rowBlocks);
}

} // namespace gradc
