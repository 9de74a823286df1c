// How long a launch should take on a card, from what it computes and moves and what the card's data sheet says. Nothing
// is measured: an estimate is for choosing between forms and for seeing what bounds a kernel.
#pragma once

#include "codegen/cuda/module.h"

namespace gradc {

/// Between two launches of a graph: what NVIDIA reports for straight lines of kernels.
inline constexpr double kCudaLaunchSeconds = 1.5e-6;

struct CudaEstimate {
  double seconds = 0;
  const char *by = ""; // "memory", "compute" or "launch": the largest part
};

/// Bytes at the memory's speed, operations at the speed of the multiprocessors that have a block, whichever takes
/// longer, and a launch.
CudaEstimate estimateLaunch(const CudaTarget &target, const CudaLaunch &launch);

} // namespace gradc
