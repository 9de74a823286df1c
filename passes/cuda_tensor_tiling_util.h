// Tiles of matrix products by tensor cores on a CUDA device. Their sums have no canonical order, so the depth may be cut
// over blocks, too: large tiles, which copy little for what they multiply, fill a device all the same.
#pragma once

#include "support/cuda_tiling.h"

namespace gradc {

struct CudaTensorProduct {
  CudaProductShape shape;
  bool columnsByFour = false, rowsByFour = false; // factors that are copied 16 bytes at once
  int64_t streams = 1; // arrays of the result's size that are read or written where a sum is finished
  bool reads = false;  // one of them is read
};

struct CudaTensorPlan {
  CudaTile tile;
  int64_t split = 1; // segments of the depth
  double cycles = 0;
};

/// Cycles that a product takes, estimated.
double cudaTensorCycles(const CudaTile &tile, int64_t split, const CudaTensorProduct &product,
                        const CudaMultipliers &device);
CudaTensorPlan planCudaTensorTiles(const CudaTensorProduct &product, const CudaMultipliers &device);

} // namespace gradc
