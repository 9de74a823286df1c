// Tiles of matrix products on a CUDA device: which there are and which takes least time. None of it can change a result.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace gradc {

/// A block of 256 threads computes rows × columns elements, each thread threadRows × threadColumns of them in
/// registers, from slabs of kCudaTileDepth steps in shared memory.
struct CudaTile {
  int rows = 64, columns = 64;
  int threadRows = 4, threadColumns = 4;

  bool operator==(const CudaTile &) const = default;
};
inline constexpr int kCudaTileDepth = 16, kCudaTileThreads = 256;

/// The tiles that code generation knows.
std::span<const CudaTile> cudaTiles();
std::optional<CudaTile> findCudaTile(int64_t rows, int64_t columns);

/// `count` products of rows × columns over `depth`.
struct CudaProductShape {
  int64_t count = 1, rows = 1, columns = 1, depth = 1;
};

/// What multiplies: multiprocessors, and multiply-adds that each makes in a cycle.
struct CudaMultipliers {
  int64_t multiprocessors = 108;
  double lanes = 64;
};

/// Cycles that a product takes, estimated.
double cudaTileCycles(const CudaTile &tile, const CudaProductShape &shape, const CudaMultipliers &device);
CudaTile chooseCudaTile(const CudaProductShape &shape, const CudaMultipliers &device);

} // namespace gradc
