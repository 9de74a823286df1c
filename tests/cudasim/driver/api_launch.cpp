// The driver API: launches of kernels.
#include "driver/capture.h"
#include "driver/module.h"

using namespace cudasim;

namespace {

CUresult launchKernel(const CUDA_KERNEL_NODE_PARAMS &asked, CUstream handle) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Stream> stream = context.stream(handle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    KernelLaunch launch;
    if (CUresult bad = makeLaunch(driver, context, asked, launch); bad != CUDA_SUCCESS)
      return bad;
    return enqueue(driver, context, *stream, NodeOperation(std::move(launch)));
  });
}

} // namespace

CUDASIM_API cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,
                           unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                           CUstream stream, void **parameters, void **extra) {
  return launchKernel({function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, parameters, extra,
                       nullptr, nullptr},
                      stream);
}

CUDASIM_API cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                             void **extra) {
  if (!config || (config->numAttrs != 0 && !config->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned index = 0; index < config->numAttrs; ++index)
    if (CUlaunchAttributeID id = config->attrs[index].id;
        id != CU_LAUNCH_ATTRIBUTE_IGNORE && id != CU_LAUNCH_ATTRIBUTE_PRIORITY)
      return CUDA_ERROR_NOT_SUPPORTED; // clusters, cooperation, programmatic launches: not simulated
  return launchKernel({function, config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX,
                       config->blockDimY, config->blockDimZ, config->sharedMemBytes, parameters, extra,
                       nullptr, nullptr},
                      config->hStream);
}
