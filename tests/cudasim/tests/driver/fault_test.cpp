// Faults: those of kernels, which break the context, and those that CUDASIM_FAIL orders.
#include "tests/driver/device.h"

using namespace cudasim::test;

namespace {

/// Runs the body and returns what it wrote to stderr.
std::string reportOf(void (*body)()) {
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

CUresult launchPast(CUdeviceptr pointer, uint64_t bytes) {
  static CUfunction past = kernel(loadSnippets(), "past");
  void *parameters[] = {&pointer, &bytes};
  return DRIVER(cuLaunchKernel)(past, 1, 1, 1, 32, 1, 1, 0, nullptr, parameters, nullptr);
}

} // namespace

DEVICE_TEST(Fault, AKernelsFaultBreaksTheContext) {
  std::string report = reportOf([] {
    start();
    CUdeviceptr data = upload({1, 2, 3, 4});
    EXPECT_OK(launchPast(data, 16));
    EXPECT_EQ(DRIVER(cuCtxSynchronize)(), CUDA_ERROR_ILLEGAL_ADDRESS);
    CUdeviceptr more = 0;
    EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&more, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT_EQ(DRIVER(cuMemFree_v2)(data), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT_OK(DRIVER(cuDevicePrimaryCtxReset_v2)(0));
    start();
    EXPECT_OK(DRIVER(cuMemAlloc_v2)(&more, 4));
  });
  EXPECT_NE(report.find("CUDA_ERROR_ILLEGAL_ADDRESS (700)"), std::string::npos) << report;
  EXPECT_NE(report.find("past"), std::string::npos) << report;
  EXPECT_NE(report.find("st.global.f32"), std::string::npos) << report;
}

DEVICE_TEST(Fault, UseAfterFree) {
  std::string report = reportOf([] {
    start();
    CUdeviceptr data = upload({1, 2, 3, 4});
    EXPECT_OK(DRIVER(cuMemFree_v2)(data));
    EXPECT_OK(launchPast(data, 0));
    EXPECT_EQ(DRIVER(cuStreamSynchronize)(nullptr), CUDA_ERROR_ILLEGAL_ADDRESS);
  });
  EXPECT_NE(report.find("use after free"), std::string::npos) << report;
}

DEVICE_TEST(Fault, Misalignment) {
  start();
  EXPECT_OK(launchPast(upload({1, 2, 3, 4}), 2));
  EXPECT_EQ(DRIVER(cuCtxSynchronize)(), CUDA_ERROR_MISALIGNED_ADDRESS);
}

DEVICE_TEST(Fault, ReadingWhatNobodyWroteIsReported) {
  start();
  CUfunction add = kernel(loadSnippets(), "add");
  EXPECT_OK(launchAdd(add, allocate(4), 1, 4, nullptr));
  EXPECT_NE(DRIVER(cuCtxSynchronize)(), CUDA_SUCCESS);
}

DEVICE_TEST(Log, SaysWhyCallsWereRefusedAndWhatNobodyWaitedFor) {
  std::string path = scratchFile("refused.jsonl");
  setenv("CUDASIM_LOG", path.c_str(), 1);
  start();
  CUfunction add = kernel(loadSnippets(), "add");
  CUdeviceptr data = upload({1});
  EXPECT_EQ(launchAdd(add, data, 1, 0, nullptr), CUDA_ERROR_INVALID_VALUE); // no block
  EXPECT_OK(launchAdd(add, data, 1, 1, stream()));
  EXPECT_OK(DRIVER(cuDevicePrimaryCtxRelease_v2)(0));
  std::vector<std::string> lines = linesOf(path);
  EXPECT_EQ(
      countLines(lines,
                 R"("event": "refused", "kernel": "add", "code": 1, "why": "kernel add: a grid of 0x1x1)"),
      1U);
  EXPECT_EQ(countLines(lines, R"("event": "dropped", "work": 1)"), 1U);
  EXPECT_EQ(countLines(lines, R"("event": "launch")"), 0U);
}

DEVICE_TEST(Ordered, ThirdAllocationFails, {"CUDASIM_FAIL", "alloc:3"}) {
  start();
  allocate(4);
  allocate(4);
  CUdeviceptr pointer = 0;
  EXPECT_EQ(DRIVER(cuMemAlloc_v2)(&pointer, 4), CUDA_ERROR_OUT_OF_MEMORY);
  allocate(4);
}

DEVICE_TEST(Ordered, SecondLaunchFails, {"CUDASIM_FAIL", "launch:2"}) {
  start();
  CUfunction add = kernel(loadSnippets(), "add");
  CUdeviceptr data = upload({1});
  EXPECT_OK(launchAdd(add, data, 1, 1, nullptr));
  EXPECT_OK(launchAdd(add, data, 1, 1, nullptr));
  EXPECT_EQ(DRIVER(cuCtxSynchronize)(), CUDA_ERROR_LAUNCH_FAILED);
}

DEVICE_TEST(Ordered, NoDevice, {"CUDASIM_FAIL", "nodevice"}) {
  EXPECT_EQ(DRIVER(cuInit)(0), CUDA_ERROR_NO_DEVICE);
  int count = 0;
  EXPECT_EQ(DRIVER(cuDeviceGetCount)(&count), CUDA_ERROR_NOT_INITIALIZED);
}

DEVICE_TEST(Ordered, StubLibrary, {"CUDASIM_FAIL", "stub"}) {
  EXPECT_EQ(DRIVER(cuInit)(0), CUDA_ERROR_STUB_LIBRARY);
  int count = 0;
  EXPECT_EQ(DRIVER(cuDeviceGetCount)(&count), CUDA_ERROR_STUB_LIBRARY);
}

DEVICE_TEST(Ordered, OldDriver, {"CUDASIM_FAIL", "olddriver"}) {
  int version = 0;
  EXPECT_OK(DRIVER(cuDriverGetVersion)(&version));
  EXPECT_LT(version, 13000);
  start();
  CUmodule module = nullptr;
  EXPECT_EQ(DRIVER(cuModuleLoadData)(&module, kSnippets), CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
}

DEVICE_TEST(Ordered, MistakesInTheEnvironmentAreSaid) {
  std::string report = reportOf([] {
    for (const char *fault : {"alloc", "alloc:0", "memory:12Q", "nodevice:1", "nonsense"}) {
      setenv("CUDASIM_FAIL", fault, 1);
      EXPECT_EQ(DRIVER(cuInit)(0), CUDA_ERROR_UNKNOWN) << fault;
    }
    unsetenv("CUDASIM_FAIL");
    setenv("CUDASIM_PROFILE", "sm_60", 1);
    EXPECT_EQ(DRIVER(cuInit)(0), CUDA_ERROR_UNKNOWN);
  });
  EXPECT_NE(report.find("CUDASIM_FAIL: 'nonsense' is none of"), std::string::npos) << report;
  EXPECT_NE(report.find("CUDASIM_PROFILE: there is no device 'sm_60'"), std::string::npos) << report;
}
