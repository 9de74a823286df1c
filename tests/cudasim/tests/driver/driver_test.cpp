// Initialisation, memory, arguments: what is refused, with the documented results.
#include <cstring>

#include "tests/driver/device.h"

using namespace cudasim::test;

DEVICE_TEST(Driver, NothingWorksBeforeCuInit) {
  int count = 0;
  EXPECT_EQ(DRIVER(cuDeviceGetCount)(&count), CUDA_ERROR_NOT_INITIALIZED);
  int version = 0;
  EXPECT_OK(DRIVER(cuDriverGetVersion)(&version));
  EXPECT_EQ(version, 13000);
  EXPECT_EQ(DRIVER(cuInit)(1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuInit)(0));
  EXPECT_OK(DRIVER(cuDeviceGetCount)(&count));
  EXPECT_EQ(count, 1);
}

DEVICE_TEST(Driver, DeviceIsTheProfiles, {"CUDASIM_PROFILE", "sm_75"}) {
  start();
  char name[64];
  EXPECT_OK(DRIVER(cuDeviceGetName)(name, sizeof name, 0));
  EXPECT_STREQ(name, "Simulated T4");
  int value = 0;
  auto get = [&](CUdevice_attribute attribute) {
    EXPECT_OK(DRIVER(cuDeviceGetAttribute)(&value, attribute, 0));
    return value;
  };
  EXPECT_EQ(get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 7);
  EXPECT_EQ(get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 5);
  EXPECT_EQ(get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), 64 << 10);
  EXPECT_EQ(get(CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32);
  EXPECT_EQ(DRIVER(cuDeviceGetAttribute)(&value, CUdevice_attribute(0), 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuDeviceGetAttribute)(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1),
            CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(DRIVER(cuDeviceGet)(&value, 1), CUDA_ERROR_INVALID_DEVICE);
}

DEVICE_TEST(Driver, ErrorsHaveNamesAndTexts) {
  const char *text = nullptr;
  EXPECT_OK(DRIVER(cuGetErrorName)(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_OK(DRIVER(cuGetErrorString)(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "an illegal memory access was encountered");
  EXPECT_EQ(DRIVER(cuGetErrorName)(CUresult(12345), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
}

DEVICE_TEST(Driver, FunctionsAreFoundByName) {
  void *function = nullptr;
  CUdriverProcAddressQueryResult status{};
  EXPECT_OK(DRIVER(cuGetProcAddress_v2)("cuMemAlloc", &function, 13000, 0, &status));
  EXPECT_EQ(function, reinterpret_cast<void *>(DRIVER(cuMemAlloc_v2)));
  EXPECT_EQ(DRIVER(cuGetProcAddress_v2)("cuNoSuchThing", &function, 13000, 0, &status), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  const void *table = &status;
  EXPECT_NE(DRIVER(cuGetExportTable)(&table, nullptr), CUDA_SUCCESS); // what NVRTC asks for
  EXPECT_EQ(table, nullptr);
}

DEVICE_TEST(Context, IsNeededAndNoticedWhenDestroyed) {
  CUdeviceptr pointer = 0;
  EXPECT_OK(DRIVER(cuInit)(0));
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&pointer, 4), CUDA_ERROR_INVALID_CONTEXT);
  CUcontext context = start();
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&pointer, 4));
  EXPECT_OK(DRIVER(cuDevicePrimaryCtxRelease_v2)(0));
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&pointer, 4), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  EXPECT_EQ(DRIVER(cuCtxSetCurrent)(context), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(DRIVER(cuDevicePrimaryCtxRelease_v2)(0), CUDA_ERROR_INVALID_CONTEXT);
}

DEVICE_TEST(Context, HandlesOfAnotherAreRefused) {
  start();
  CUmodule module = loadSnippets();
  CUfunction add = kernel(module, "add");
  CUstream first = stream();
  CUevent done = event();
  CUcontext other = nullptr;
  EXPECT_OK(DRIVER(cuCtxCreate_v4)(&other, nullptr, 0, 0));
  EXPECT_EQ(DRIVER(cuStreamSynchronize)(first), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(DRIVER(cuEventRecord)(done, nullptr), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(launchAdd(add, allocate(4), 1, 4, nullptr), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(DRIVER(cuCtxDestroy_v2)(other));
  EXPECT_OK(DRIVER(cuStreamSynchronize)(first)); // the first context is current again
}

DEVICE_TEST(Memory, ArgumentsAreChecked) {
  start();
  CUdeviceptr pointer = 0;
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&pointer, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(nullptr, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuMemFree_v2)(0));
  EXPECT_EQ(DRIVER(cuMemFree_v2)(1234), CUDA_ERROR_INVALID_VALUE);
  pointer = allocate(4);
  EXPECT_EQ(DRIVER(cuMemFree_v2)(pointer + 4), CUDA_ERROR_INVALID_VALUE);
  float values[8] = {};
  EXPECT_EQ(DRIVER(cuMemcpyHtoD_v2)(pointer, values, 17), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuMemcpyDtoH_v2)(nullptr, pointer, 16), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuMemcpyDtoD_v2)(pointer, pointer + 8, 12), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuMemcpyDtoH_v2)(nullptr, 0, 0));
  EXPECT_EQ(DRIVER(cuMemsetD32Async)(pointer + 2, 0, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuMemsetD32Async)(pointer, 0, 5, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuMemFree_v2)(pointer));
  EXPECT_EQ(DRIVER(cuMemFree_v2)(pointer), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(DRIVER(cuMemcpyDtoH_v2)(values, pointer, 4), CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Memory, InfoAndLimit, {"CUDASIM_FAIL", "memory:1M"}) {
  start();
  size_t free = 0, total = 0;
  EXPECT_OK(DRIVER(cuMemGetInfo_v2)(&free, &total));
  EXPECT_EQ(total, 1U << 20);
  CUdeviceptr pointer = 0;
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&pointer, total + 1), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&pointer, 1 << 19));
  EXPECT_OK(DRIVER(cuMemGetInfo_v2)(&free, &total));
  EXPECT_EQ(free, 1U << 19);
  CUdeviceptr base = 0;
  size_t bytes = 0;
  EXPECT_OK(DRIVER(cuMemGetAddressRange_v2)(&base, &bytes, pointer + 100));
  EXPECT_EQ(base, pointer);
  EXPECT_EQ(bytes, 1U << 19);
}

DEVICE_TEST(Memory, HostMemoryIsPinnedOnce) {
  start();
  std::vector<float> values(1024);
  EXPECT_EQ(DRIVER(cuMemHostUnregister)(values.data()), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  EXPECT_OK(DRIVER(cuMemHostRegister_v2)(values.data(), 4096, 0));
  EXPECT_EQ(DRIVER(cuMemHostRegister_v2)(values.data() + 10, 8, 0),
            CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  EXPECT_OK(DRIVER(cuMemHostUnregister)(values.data()));
  void *own = nullptr;
  EXPECT_EQ(DRIVER(cuMemHostAlloc)(&own, 16, 64), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuMemHostAlloc)(&own, 16, CU_MEMHOSTALLOC_PORTABLE));
  unsigned flags = 0;
  EXPECT_OK(DRIVER(cuMemHostGetFlags)(&flags, own));
  EXPECT_EQ(flags, CU_MEMHOSTALLOC_PORTABLE);
  EXPECT_OK(DRIVER(cuMemFreeHost)(own));
  EXPECT_EQ(DRIVER(cuMemFreeHost)(own), CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Memory, CopiesOfTwoDimensions) {
  start();
  CUdeviceptr data = upload({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  float source[6] = {1, 2, 3, 4, 5, 6};
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = source;
  copy.srcPitch = 3 * sizeof(float);
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = data;
  copy.dstPitch = 4 * sizeof(float);
  copy.dstXInBytes = sizeof(float);
  copy.dstY = 1;
  copy.WidthInBytes = 2 * sizeof(float);
  copy.Height = 2;
  EXPECT_OK(DRIVER(cuMemcpy2D_v2)(&copy));
  EXPECT_EQ(download(data, 12), (std::vector<float>{0, 0, 0, 0, 0, 1, 2, 0, 0, 4, 5, 0}));
  copy.dstPitch = sizeof(float);
  EXPECT_EQ(DRIVER(cuMemcpy2D_v2)(&copy), CUDA_ERROR_INVALID_VALUE);
}
