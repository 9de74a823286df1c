// The driver API: initialisation and the device.
#include <dlfcn.h>

#include <cstring>

#include <fmt/format.h>

#include "driver/driver.h"

using namespace cudasim;

namespace {

constexpr size_t kTotalMemory = size_t{4}
                                << 30; // enough for every example; no test's mistake fills the machine
constexpr int kVersion = 13000, kOldVersion = 12040;

bool start(Driver &driver) {
  auto settings = readSettings();
  if (!settings) {
    report(fmt::format("cudasim: {}", settings.error()));
    return false;
  }
  driver.settings = *settings;
  const DeviceProfile *profile = findProfile(settings->profile);
  if (!profile) {
    report(fmt::format("cudasim: CUDASIM_PROFILE: there is no device '{}'", settings->profile));
    return false;
  }
  if (!settings->logFile.empty() && !driver.log.open(settings->logFile)) {
    report(fmt::format("cudasim: CUDASIM_LOG: cannot write '{}'", settings->logFile));
    return false;
  }
  driver.options = Options::fromEnvironment();
  driver.options.seed = settings->seed;
  driver.scheduler.emplace(settings->seed);
  driver.memory.emplace(int64_t(settings->faults.totalMemory.value_or(kTotalMemory)));
  if (!settings->faults.stub && !settings->faults.noDevice)
    driver.profile = profile;
  return true;
}

bool isDevice(CUdevice device) { return device == 0; }

} // namespace

CUDASIM_API cuInit(unsigned flags) {
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (driver.profile)
    return CUDA_SUCCESS;
  if (!start(driver))
    return CUDA_ERROR_UNKNOWN;
  if (driver.settings.faults.stub)
    return CUDA_ERROR_STUB_LIBRARY;
  return driver.settings.faults.noDevice ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

CUDASIM_API cuDriverGetVersion(int *version) { // documented to work before cuInit
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  auto settings = readSettings();
  if (settings && settings->faults.stub)
    return CUDA_ERROR_STUB_LIBRARY;
  *version = settings && settings->faults.oldDriver ? kOldVersion : kVersion;
  return CUDA_SUCCESS;
}

CUDASIM_API cuDeviceGetCount(int *count) {
  return call([&](Driver &) { return count ? (*count = 1, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE; });
}

CUDASIM_API cuDeviceGet(CUdevice *device, int ordinal) {
  return call([&](Driver &) {
    if (!device)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isDevice(ordinal))
      return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDeviceGetName(char *name, int length, CUdevice device) {
  return call([&](Driver &driver) {
    if (!name || length <= 0)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isDevice(device))
      return CUDA_ERROR_INVALID_DEVICE;
    auto end = fmt::format_to_n(name, size_t(length) - 1, "{}", driver.profile->product).out;
    *end = 0;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  return call([&](Driver &driver) {
    if (!bytes)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isDevice(device))
      return CUDA_ERROR_INVALID_DEVICE;
    *bytes = size_t(driver.memory->used() + driver.memory->available());
    return CUDA_SUCCESS;
  });
}

namespace {

std::optional<int64_t> attributeOf(const DeviceProfile &profile, CUdevice_attribute attribute) {
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return profile.maxThreadsPerBlock;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 0x7fffffff;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return profile.sharedPerBlock;
  case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: return 65536;
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
  case CU_DEVICE_ATTRIBUTE_MAX_PITCH: return 0x7fffffff;
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return profile.registersPerMultiprocessor;
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return profile.clockKhz;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return profile.multiprocessors;
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return profile.memoryClockKhz;
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return profile.memoryBusBits;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return profile.l2Bytes;
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return profile.maxThreadsPerMultiprocessor;
  case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return profile.major;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return profile.minor;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return profile.sharedPerMultiprocessor;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return profile.sharedPerBlockOptIn;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return profile.maxBlocksPerMultiprocessor;
  case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: return profile.major >= 8 ? 1024 : 0;
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
  case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
  case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED: return 1;
  default: break;
  }
  bool exists = attribute > 0 && attribute < CU_DEVICE_ATTRIBUTE_MAX;
  return exists ? std::optional<int64_t>(0) : std::nullopt; // what this device lacks
}

} // namespace

CUDASIM_API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  return call([&](Driver &driver) {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isDevice(device))
      return CUDA_ERROR_INVALID_DEVICE;
    auto found = attributeOf(*driver.profile, attribute);
    if (!found)
      return CUDA_ERROR_INVALID_VALUE;
    *value = int(*found);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
  if (CUresult result = cuDeviceGetAttribute(major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
      result != CUDA_SUCCESS)
    return result;
  return cuDeviceGetAttribute(minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
}

// NVRTC asks for a private table and takes the error for "no driver"; without this function it crashes.
CUDASIM_API cuGetExportTable(const void **table, const CUuuid *) {
  if (table)
    *table = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

CUDASIM_API cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t,
                                CUdriverProcAddressQueryResult *status) {
  if (!symbol || !function)
    return CUDA_ERROR_INVALID_VALUE;
  static const char *const suffixes[] = {"_v4", "_v3", "_v2", ""}; // the newest, as for a program of CUDA 13
  *function = nullptr;
  Dl_info self{};
  dladdr(reinterpret_cast<void *>(&cuGetExportTable), &self);
  void *library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  for (const char *suffix : suffixes)
    if (!*function && version >= kVersion)
      *function = dlsym(library, fmt::format("{}{}", symbol, suffix).c_str());
  if (library)
    dlclose(library);
  if (status)
    *status = *function             ? CU_GET_PROC_ADDRESS_SUCCESS
              : version >= kVersion ? CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
                                    : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
