// The gradient of max pooling where windows lie side by side: a thread has one window, finds its largest pixel once and
// writes all its pixels, the others as zeros. Pixels beyond the last window belong to cells without one. All that a cell
// needs of the images is read before its first pixel is written: a result may lie over them (ir/window_walk.h).
#pragma once

#include <optional>
#include <vector>

#include "codegen/cuda/step_writer.h"
#include "ir/spatial.h"

namespace gradc {

struct CudaWindowCells {
  OpId op; // window_max_grad
  Window window;
  Type type; // [N, C, cells down, cells across], in the results' layout
};

/// Where the region's only window op is such a gradient of the results' shape.
std::optional<CudaWindowCells> cudaWindowCells(const CudaKernelContext &k, const Type &result);

/// What the thread of a cell does.
void writeCudaWindowCell(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells,
                         const std::vector<int> &results, const CudaIndices &cell);
/// The cell of examples that layout n16 fills up its last block with: zeros.
void writeCudaPaddedCell(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells,
                         const std::vector<int> &results, const CudaIndices &cell);

} // namespace gradc
