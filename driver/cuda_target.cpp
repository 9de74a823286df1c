#include "driver/cuda_target.h"

namespace gradc {

CudaTarget cudaTargetOf(const cuda::Context &context) {
  CudaTarget target = cudaTargets().front();
  for (const CudaTarget &row : cudaTargets())
    if (row.architecture <= context.architecture())
      target = row;
  target.architecture = context.architecture();
  return target;
}

} // namespace gradc
