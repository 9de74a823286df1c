// The driver API: device memory and pinned host memory.
#include <cstdlib>

#include "driver/capture.h"
#include "driver/execute.h"

using namespace cudasim;

namespace {

template <typename Body> CUresult unlessCapturing(Body body) {
  return callInContext([&](Driver &driver, Context &context) {
    CUresult refused = refuseUnsafe(context);
    return refused == CUDA_SUCCESS ? body(driver, context) : refused;
  });
}

constexpr unsigned kHostFlags =
    CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;

bool overlapsPinned(const Context &context, uintptr_t address, size_t bytes) {
  for (auto [start, size] : context.pinned)
    if (address < start + size && start < address + bytes)
      return true;
  return false;
}

} // namespace

CUDASIM_API cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
  return unlessCapturing([&](Driver &driver, Context &context) {
    if (!pointer || bytes == 0)
      return CUDA_ERROR_INVALID_VALUE;
    bool ordered = ++driver.allocations == driver.settings.faults.failingAllocation;
    void *address = ordered || bytes > size_t(INT64_MAX) ? nullptr : driver.memory->allocate(int64_t(bytes));
    if (!address)
      return CUDA_ERROR_OUT_OF_MEMORY;
    context.allocations[reinterpret_cast<uintptr_t>(address)] = bytes;
    *pointer = reinterpret_cast<CUdeviceptr>(address);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemFree_v2(CUdeviceptr pointer) { // waits for all work, which may use the memory
  return unlessCapturing([&](Driver &driver, Context &context) {
    if (pointer == 0)
      return CUDA_SUCCESS;
    auto found = context.allocations.find(uintptr_t(pointer));
    if (found == context.allocations.end())
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult failed = runAll(driver, context); failed != CUDA_SUCCESS)
      return failed;
    driver.memory->free(reinterpret_cast<void *>(pointer));
    context.allocations.erase(found);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemGetInfo_v2(size_t *free, size_t *total) {
  return callInContext([&](Driver &driver, Context &) {
    if (!free || !total)
      return CUDA_ERROR_INVALID_VALUE;
    *free = size_t(driver.memory->available());
    *total = size_t(driver.memory->used() + driver.memory->available());
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr pointer) {
  return callInContext([&](Driver &driver, Context &) {
    const Allocation *allocation = driver.memory->find(pointer, pointer + 1);
    if (!allocation)
      return CUDA_ERROR_NOT_FOUND;
    if (base)
      *base = allocation->begin;
    if (bytes)
      *bytes = size_t(allocation->bytes);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags) {
  return unlessCapturing([&](Driver &, Context &context) {
    if (!pointer || bytes == 0 || (flags & ~kHostFlags))
      return CUDA_ERROR_INVALID_VALUE;
    *pointer = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*pointer)
      return CUDA_ERROR_OUT_OF_MEMORY;
    context.pinned[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
    context.ownHostMemory[reinterpret_cast<uintptr_t>(*pointer)] = flags;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemAllocHost_v2(void **pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }

CUDASIM_API cuMemFreeHost(void *pointer) {
  return unlessCapturing([&](Driver &driver, Context &context) {
    auto own = context.ownHostMemory.find(reinterpret_cast<uintptr_t>(pointer));
    if (own == context.ownHostMemory.end())
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult failed = runAll(driver, context); failed != CUDA_SUCCESS)
      return failed;
    context.pinned.erase(own->first);
    context.ownHostMemory.erase(own);
    std::free(pointer);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemHostGetFlags(unsigned *flags, void *pointer) {
  return callInContext([&](Driver &, Context &context) {
    auto own = context.ownHostMemory.find(reinterpret_cast<uintptr_t>(pointer));
    if (!flags || own == context.ownHostMemory.end())
      return CUDA_ERROR_INVALID_VALUE;
    *flags = own->second;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags) {
  return unlessCapturing([&](Driver &, Context &context) {
    constexpr unsigned kKnown = 0xf;
    auto address = reinterpret_cast<uintptr_t>(pointer);
    if (!pointer || bytes == 0 || (flags & ~kKnown))
      return CUDA_ERROR_INVALID_VALUE;
    if (overlapsPinned(context, address, bytes))
      return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    context.pinned[address] = bytes;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuMemHostUnregister(void *pointer) {
  return unlessCapturing([&](Driver &driver, Context &context) {
    auto address = reinterpret_cast<uintptr_t>(pointer);
    if (!context.pinned.contains(address) || context.ownHostMemory.contains(address))
      return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    CUresult failed = runAll(driver, context);
    context.pinned.erase(address);
    return failed;
  });
}

CUDASIM_API cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr pointer) {
  return callInContext([&](Driver &driver, Context &context) {
    bool device = driver.memory->find(pointer, pointer + 1) != nullptr;
    if (!value || (!device && !context.hostRangePinned(pointer, 1)))
      return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *static_cast<CUcontext *>(value) = context.handle<CUcontext>(); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *static_cast<unsigned *>(value) = device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
      break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(value) = 0; break;
    default: return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
  });
}
