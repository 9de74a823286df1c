#include "codegen/cuda/estimate.h"

#include <algorithm>

#include "support/dtype.h"

namespace gradc {
namespace {

double flopsPerSecond(const CudaTarget &target, const CudaLaunch &launch) {
  const gradc_cuda_product &product = launch.product;
  const bool called = launch.function.empty();
  const bool half =
      called && (product.factor_dtype != static_cast<int32_t>(DType::F32) ||
                 product.compute == GRADC_CUDA_COMPUTE_BF16 || product.compute == GRADC_CUDA_COMPUTE_F16);
  const bool tf32 = called && product.compute == GRADC_CUDA_COMPUTE_TF32;
  return std::max(half ? target.halfFlops : tf32 ? target.tf32Flops : 0.0, target.f32Flops);
}

} // namespace

CudaEstimate estimateLaunch(const CudaTarget &target, const CudaLaunch &launch) {
  // How a library cuts its product is not known: it uses the whole card.
  const double share = launch.function.empty()
                           ? 1.0
                           : std::min(1.0, static_cast<double>(launch.blocks) / target.multiprocessors);
  const double compute = launch.flops / (flopsPerSecond(target, launch) * share);
  const double memory = launch.bytes / target.memoryBytes;
  const double work = std::max(compute, memory);
  CudaEstimate estimate{.seconds = kCudaLaunchSeconds + work, .by = "launch"};
  if (work > kCudaLaunchSeconds)
    estimate.by = compute > memory ? "compute" : "memory";
  return estimate;
}

} // namespace gradc
