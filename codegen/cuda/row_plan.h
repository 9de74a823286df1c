// What a kernel with reductions computes row by row: all its reductions are over the same axes of one shape.
#pragma once

#include <optional>
#include <vector>

#include "codegen/cuda/kernel.h"
#include "ir/order.h"

namespace gradc {

struct CudaRowPlan {
  Shape shape; // that is reduced
  ReductionOrder order;
  std::vector<int> kept; // axes that are not reduced, ascending
  Shape keptShape;
  std::vector<std::vector<OpId>> levels; // reductions that need only those of earlier levels
  std::vector<int> fullResults, keptResults;

  bool reduces(int axis) const;
  /// The last axis is kept: neighbours in memory belong to neighbouring sums.
  bool keepsLast() const { return !reduces(shape.rank() - 1); }
};

/// Nothing where the region's reductions differ or a result has another shape: then each element of the results
/// computes what it needs on the spot.
std::optional<CudaRowPlan> cudaRowPlan(const CudaKernelContext &k);

// A step for kernels of one form each; nothing where the plan has another.
std::optional<CudaKernelCode> emitCudaStagedChains(const CudaKernelContext &k,
                                                   const CudaRowPlan &plan); // staged_chains.cpp
std::optional<CudaKernelCode> emitCudaColumns(const CudaKernelContext &k,
                                              const CudaRowPlan &plan); // columns.cpp

} // namespace gradc
