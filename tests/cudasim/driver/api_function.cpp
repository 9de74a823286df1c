// The driver API: attributes and occupancy of kernels.
#include <algorithm>

#include "driver/module.h"

using namespace cudasim;

namespace {

// Registers of a kernel that was loaded as PTX are not known; the figure is that of a middling kernel.
constexpr int kUnknownRegisters = 32;

std::optional<int64_t> attributeOf(const DeviceProfile &profile, const Function &function,
                                   CUfunction_attribute attribute) {
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return function.maxThreads(profile);
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: return function.kernel->staticShared;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: return 0;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: return function.kernel->localBytes;
  case CU_FUNC_ATTRIBUTE_NUM_REGS: return function.registers ? function.registers : kUnknownRegisters;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION: return function.kernel->target;
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION: return profile.major * 10 + profile.minor;
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA: return 0;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: return function.dynamicSharedLimit(profile);
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: return -1;
  }
  return std::nullopt;
}

CUresult setAttribute(const DeviceProfile &profile, Function &function, CUfunction_attribute attribute,
                      int value) {
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    if (value < 0 || value > profile.sharedPerBlockOptIn - function.kernel->staticShared)
      return CUDA_ERROR_INVALID_VALUE;
    function.allowedDynamicShared = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: // a wish
    return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  default: return CUDA_ERROR_INVALID_VALUE;
  }
}

template <typename Body> CUresult withFunction(CUfunction handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Function> function = find(driver.functions, context, handle);
    return function ? body(*driver.profile, *function) : CUDA_ERROR_INVALID_HANDLE;
  });
}

} // namespace

CUDASIM_API cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
  return withFunction(handle, [&](const DeviceProfile &profile, Function &function) {
    auto found = attributeOf(profile, function, attribute);
    if (!value || !found)
      return CUDA_ERROR_INVALID_VALUE;
    *value = int(*found);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return withFunction(handle, [&](const DeviceProfile &profile, Function &function) {
    return setAttribute(profile, function, attribute, value);
  });
}

CUDASIM_API cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
  return withFunction(handle, [&](const DeviceProfile &, Function &) {
    bool known = config >= CU_FUNC_CACHE_PREFER_NONE && config <= CU_FUNC_CACHE_PREFER_EQUAL;
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuFuncGetName(const char **name, CUfunction handle) {
  return withFunction(handle, [&](const DeviceProfile &, Function &function) {
    return name ? (*name = function.name.c_str(), CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *bytes) {
  return withFunction(handle, [&](const DeviceProfile &, Function &function) {
    if (!offset || index >= function.kernel->parameters.size())
      return CUDA_ERROR_INVALID_VALUE;
    *offset = size_t(function.kernel->parameters[index].first);
    if (bytes)
      *bytes = size_t(function.kernel->parameters[index].second);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int threads,
                                                                 size_t dynamicShared, unsigned flags) {
  return withFunction(handle, [&](const DeviceProfile &profile, Function &function) {
    if (!blocks || threads <= 0 || flags > 1)
      return CUDA_ERROR_INVALID_VALUE;
    *blocks = residentBlocks(profile, function, threads, int64_t(dynamicShared));
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int threads,
                                                        size_t dynamicShared) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, handle, threads, dynamicShared, 0);
}

CUDASIM_API cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle,
                                             CUoccupancyB2DSize sharedOf, size_t dynamicShared, int limit) {
  return withFunction(handle, [&](const DeviceProfile &profile, Function &function) {
    if (!grid || !block)
      return CUDA_ERROR_INVALID_VALUE;
    int largest = function.maxThreads(profile);
    if (limit > 0)
      largest = std::min(largest, limit);
    int best = 0;
    for (int threads = largest; threads > 0; threads -= threads % 32 ? threads % 32 : 32) {
      size_t shared = sharedOf ? sharedOf(threads) : dynamicShared;
      int blocks = residentBlocks(profile, function, threads, int64_t(shared));
      if (blocks * threads > best) {
        best = blocks * threads;
        *block = threads;
        *grid = blocks * profile.multiprocessors;
      }
    }
    return best > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}
