#include "support/cuda_tiling.h"

#include <algorithm>

#include "support/tiling.h"

namespace gradc {
namespace {

// rows × columns of a block; of a thread. Columns lie in the lanes of a warp, eight of them by four rows.
constexpr CudaTile kTiles[] = {
    {128, 128, 8, 8}, {64, 128, 4, 8}, {64, 64, 4, 4}, {32, 64, 2, 4}, {32, 32, 2, 2},
};

} // namespace

std::span<const CudaTile> cudaTiles() { return kTiles; }

std::optional<CudaTile> findCudaTile(int64_t rows, int64_t columns) {
  for (const CudaTile &tile : kTiles)
    if (tile.rows == rows && tile.columns == columns)
      return tile;
  return std::nullopt;
}

double cudaTileCycles(const CudaTile &tile, const CudaProductShape &shape, const CudaMultipliers &device) {
  // Of one slab: multiply-adds, reads of shared memory (two cycles for 16 bytes a thread, as neighbours
  // read the same), bytes that come from L2.
  constexpr double kReadCycles = 0.5, kBytesPerCycle = 40;
  constexpr double kReadShare = 0.7; // of the reads, what multiply-adds do not hide
  constexpr double kLatency =
      300; // of a slab, however small: its barrier, its reads, its chain of multiply-adds
  constexpr double kStoreCycles = 30; // of each element of a thread
  const auto warps = static_cast<double>(kCudaTileThreads / 32);
  const double multiply = tile.rows * tile.columns * kCudaTileDepth / device.lanes;
  const double read = warps * kCudaTileDepth * (tile.threadRows + tile.threadColumns) * kReadCycles;
  const double load = (tile.rows + tile.columns) * kCudaTileDepth * 4 / kBytesPerCycle;
  const int64_t blocks = shape.count * ceilDiv(shape.rows, tile.rows) * ceilDiv(shape.columns, tile.columns);
  const auto each =
      static_cast<double>(ceilDiv(blocks, device.multiprocessors)); // blocks of a multiprocessor
  const auto slabs = static_cast<double>(ceilDiv(shape.depth, kCudaTileDepth));
  return slabs * std::max(each * std::max(multiply + kReadShare * read, load), kLatency) +
         each * tile.threadRows * tile.threadColumns * kStoreCycles;
}

CudaTile chooseCudaTile(const CudaProductShape &shape, const CudaMultipliers &device) {
  return *std::ranges::min_element(kTiles, {},
                                   [&](const CudaTile &tile) { return cudaTileCycles(tile, shape, device); });
}

} // namespace gradc
