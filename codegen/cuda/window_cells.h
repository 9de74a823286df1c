// The gradient of max pooling where windows lie side by side: a thread has one window, finds its largest pixel once and
// writes all its pixels, the others as zeros. Pixels beyond the last window belong to cells without one.
#pragma once

#include <optional>
#include <vector>

#include "codegen/cuda/step_writer.h"
#include "ir/spatial.h"

namespace gradc {

struct CudaWindowCells {
  OpId op; // window_max_grad
  Window window;
  Shape shape; // [N, C, cells down, cells across]
};

/// Where the region's only window op is such a gradient of the results' shape.
std::optional<CudaWindowCells> cudaWindowCells(const CudaKernelContext &k, const Type &result);

/// What the thread of cell number `cell` does.
void writeCudaWindowCell(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells,
                         const std::vector<int> &results, const CudaIndex &cell);

} // namespace gradc
