// The driver API: contexts.
#include "driver/capture.h"
#include "driver/execute.h"

using namespace cudasim;

namespace {

CUresult makePrimary(Driver &driver, CUdevice device) {
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!driver.primary)
    driver.primary = driver.makeContext(driver.primaryFlags);
  return CUDA_SUCCESS;
}

void destroyPrimary(Driver &driver) {
  if (driver.primary)
    driver.destroyContext(driver.primary);
  driver.primary = nullptr;
  driver.primaryUsers = 0;
}

bool validFlags(unsigned flags) { return (flags & ~unsigned(CU_CTX_FLAGS_MASK)) == 0; }

} // namespace

CUDASIM_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  return call([&](Driver &driver) {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult bad = makePrimary(driver, device); bad != CUDA_SUCCESS)
      return bad;
    ++driver.primaryUsers;
    *context = driver.primary->handle<CUcontext>();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return call([&](Driver &driver) {
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    if (driver.primaryUsers == 0)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (--driver.primaryUsers == 0)
      destroyPrimary(driver);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return call([&](Driver &driver) {
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    destroyPrimary(driver);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return call([&](Driver &driver) {
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    if (!validFlags(flags))
      return CUDA_ERROR_INVALID_VALUE;
    driver.primaryFlags = flags;
    if (driver.primary)
      driver.primary->flags = flags;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  return call([&](Driver &driver) {
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    if (!flags || !active)
      return CUDA_ERROR_INVALID_VALUE;
    *flags = driver.primaryFlags;
    *active = driver.primary != nullptr;
    return CUDA_SUCCESS;
  });
}

// Its fourth version takes parameters for execution affinity and CIG, which must be null here.
CUDASIM_API cuCtxCreate_v4(CUcontext *context, void *parameters, unsigned flags, CUdevice device) {
  return call([&](Driver &driver) {
    if (!context || !validFlags(flags))
      return CUDA_ERROR_INVALID_VALUE;
    if (parameters)
      return CUDA_ERROR_NOT_SUPPORTED;
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    *context = driver.makeContext(flags)->handle<CUcontext>();
    currentContexts().push_back(*context);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxDestroy_v2(CUcontext handle) {
  return call([&](Driver &driver) {
    std::shared_ptr<Context> context = driver.contexts.find(handle);
    if (!context || context == driver.primary)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!currentContexts().empty() && currentContexts().back() == handle)
      currentContexts().pop_back();
    driver.destroyContext(context);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxSetCurrent(CUcontext context) {
  return call([&](Driver &driver) {
    if (context && !driver.contexts.find(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!currentContexts().empty())
      currentContexts().pop_back();
    if (context)
      currentContexts().push_back(context);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxGetCurrent(CUcontext *context) {
  return call([&](Driver &) {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    *context = currentContexts().empty() ? nullptr : currentContexts().back();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxPushCurrent_v2(CUcontext context) {
  return call([&](Driver &driver) {
    if (!driver.contexts.find(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    currentContexts().push_back(context);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxPopCurrent_v2(CUcontext *context) {
  return call([&](Driver &) {
    if (currentContexts().empty())
      return CUDA_ERROR_INVALID_CONTEXT;
    if (context)
      *context = currentContexts().back();
    currentContexts().pop_back();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxGetDevice(CUdevice *device) {
  return callInContext(
      [&](Driver &, Context &) { return device ? (*device = 0, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE; });
}

CUDASIM_API cuCtxGetFlags(unsigned *flags) {
  return callInContext([&](Driver &, Context &context) {
    return flags ? (*flags = context.flags, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return callInContext([&](Driver &, Context &) {
    if (least)
      *least = 0;
    if (greatest)
      *greatest = -5;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuCtxSynchronize() {
  return callInContext([&](Driver &driver, Context &context) {
    if (CUresult refused = refuseWhileAnyCaptures(context); refused != CUDA_SUCCESS)
      return refused;
    driver.log.write("synchronize", R"("what": "context")");
    return runAll(driver, context);
  });
}
