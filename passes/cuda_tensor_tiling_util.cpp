#include "passes/cuda_tensor_tiling_util.h"

#include <algorithm>

#include "support/tiling.h"

namespace gradc {
namespace {

// Figures of an H200 (sm_90): instructions counted by its profiler for tiles of all sizes, divided by slabs.
constexpr double kSchedulers = 4, kWarps = kCudaTileThreads / 32.0;
constexpr double kSlabInstructions = 40; // of a warp: the loop, its barrier, the next steps
constexpr double kCopy = 20, kCopyOfFour = 10;
constexpr double kSlabLatency = 400, kBytesPerCycle = 40;
constexpr double kStreamCycles = 0.33;                // of an element
constexpr double kReadLatency = 700, kReadAtOnce = 4; // elements of a thread
constexpr double kStart = 2000, kStep = 5000;
constexpr double kL2Bytes = 24; // in a cycle, of each multiprocessor

/// Instructions of a warp for a slab's products: reads and roundings of fragments of 16 rows and 8 columns.
double multiplyInstructions(const CudaTile &tile) {
  const int warpsDown = tile.rows >= 64 ? 4 : 2;
  const double down = tile.rows / warpsDown / 16.0, across = tile.columns * warpsDown / 8.0 / 8.0;
  return 2 * (2 * (4 * down + 2 * across) + down * across);
}

double copyInstructions(int indices, bool byFour) {
  const double floats = indices * kCudaTileDepth / static_cast<double>(kCudaTileThreads);
  return byFour ? std::max(floats / 4, 1.0) * kCopyOfFour : floats * kCopy;
}

/// By registers, for sums and for the places of what is copied one by one, and by shared memory.
int64_t residentBlocks(const CudaTile &tile, const CudaTensorProduct &product) {
  if (tile.rows == 128)
    return product.columnsByFour ? 2 : 1;
  return tile.columns == 128 ? 2 : tile.rows == 64 ? 3 : 4;
}

/// The share of its cycles in which a scheduler finds a warp that can go on.
double issueShare(int64_t blocks) { return blocks == 1 ? 0.5 : blocks == 2 ? 0.62 : 0.7; }

/// No segment is short or without slabs, and partial sums stay in the L2.
bool maySplit(int64_t split, const CudaProductShape &shape) {
  constexpr int64_t kFewestSlabs = 4, kMostFloats = 8 << 20;
  const int64_t slabs = ceilDiv(shape.depth, kCudaTileDepth), each = ceilDiv(slabs, split);
  return split == 1 || (each >= kFewestSlabs && ceilDiv(slabs, each) == split &&
                        split * shape.count * shape.rows * shape.columns <= kMostFloats);
}

} // namespace

double cudaTensorCycles(const CudaTile &tile, int64_t split, const CudaTensorProduct &product,
                        const CudaMultipliers &device) {
  const CudaProductShape &shape = product.shape;
  const int64_t blocks =
      split * shape.count * ceilDiv(shape.rows, tile.rows) * ceilDiv(shape.columns, tile.columns);
  const int64_t each = ceilDiv(blocks, device.multiprocessors), resident = residentBlocks(tile, product);
  const auto slabs = static_cast<double>(ceilDiv(ceilDiv(shape.depth, kCudaTileDepth), split));
  const double issued = (kSlabInstructions + multiplyInstructions(tile) +
                         copyInstructions(tile.columns, product.columnsByFour) +
                         copyInstructions(tile.rows, product.rowsByFour)) *
                        kWarps / kSchedulers / issueShare(std::min(each, resident));
  const double multiplied = tile.rows * tile.columns * kCudaTileDepth / device.lanes;
  const double loaded = (tile.rows + tile.columns) * kCudaTileDepth * 4 / kBytesPerCycle;
  const double slab = std::max({static_cast<double>(each) * std::max({issued, multiplied, loaded}),
                                static_cast<double>(ceilDiv(each, resident)) * kSlabLatency});
  double stored = tile.rows * tile.columns * kStreamCycles;
  if (split == 1) {
    const double waits = product.reads ? tile.rows * tile.columns / kCudaTileThreads / kReadAtOnce : 0.0;
    stored = std::max(stored * static_cast<double>(product.streams),
                      waits * kReadLatency / static_cast<double>(std::min(each, resident)));
  }
  double cycles = slabs * slab + kStart + static_cast<double>(each) * stored;
  if (split > 1) { // a step after it
    const int64_t moved = 4 * (split + product.streams) * shape.count * shape.rows * shape.columns;
    cycles += kStep + static_cast<double>(moved) / (kL2Bytes * static_cast<double>(device.multiprocessors));
  }
  return cycles;
}

CudaTensorPlan planCudaTensorTiles(const CudaTensorProduct &product, const CudaMultipliers &device) {
  constexpr int64_t kSplits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};
  CudaTensorPlan best;
  for (const CudaTile &tile : cudaTiles())
    for (int64_t split : kSplits) {
      if (!maySplit(split, product.shape))
        continue;
      const double cycles = cudaTensorCycles(tile, split, product, device);
      if (best.cycles == 0 || cycles < best.cycles)
        best = {tile, split, cycles};
    }
  return best;
}

} // namespace gradc
