// Modules, kernels, limits of launches.
#include <cstring>
#include <fstream>

#include "tests/driver/device.h"

using namespace cudasim::test;

namespace {

CUresult launch(CUfunction function, unsigned grid, unsigned block, unsigned shared) {
  return DRIVER(cuLaunchKernel)(function, grid, 1, 1, block, 1, 1, shared, nullptr, nullptr, nullptr);
}

/// Loads, and returns the error log.
std::string errorOf(const void *image, CUresult expected) {
  char log[512] = "?";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_OPTIMIZATION_LEVEL};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log), reinterpret_cast<void *>(4)};
  CUmodule module = nullptr;
  EXPECT_EQ(DRIVER(cuModuleLoadDataEx)(&module, image, 3, options, values), expected);
  EXPECT_EQ(reinterpret_cast<size_t>(values[1]), expected == CUDA_SUCCESS ? 0 : std::strlen(log) + 1);
  return log;
}

/// A cubin as far as the driver reads one: an ELF header with the architecture in its flags.
std::string cubin(unsigned architecture) {
  std::string image(64, '\0');
  std::memcpy(image.data(),
              "\x7f"
              "ELF\x02\x01\x01\x41\x08",
              9);
  uint16_t machine = 190, headerBytes = 64, sectionBytes = 64;
  uint32_t flags = 0x6000004 | architecture << 8;
  std::memcpy(image.data() + 18, &machine, 2);
  std::memcpy(image.data() + 48, &flags, 4);
  std::memcpy(image.data() + 52, &headerBytes, 2);
  std::memcpy(image.data() + 58, &sectionBytes, 2);
  uint64_t end = 64;
  std::memcpy(image.data() + 40, &end, 8); // where no sections stand
  return image;
}

} // namespace

DEVICE_TEST(Module, NamesAreFound) {
  start();
  CUmodule module = loadSnippets();
  CUfunction add = kernel(module, "add"), again = kernel(module, "add"), none = nullptr;
  EXPECT_EQ(add, again);
  EXPECT_EQ(DRIVER(cuModuleGetFunction)(&none, module, "nothing"), CUDA_ERROR_NOT_FOUND);
  CUdeviceptr counter = 0;
  size_t bytes = 0;
  EXPECT_OK(DRIVER(cuModuleGetGlobal_v2)(&counter, &bytes, module, "counter"));
  EXPECT_EQ(bytes, 16U);
  EXPECT_EQ(download(counter, 4), std::vector<float>(4, 0));
  size_t offset = 0;
  EXPECT_OK(DRIVER(cuFuncGetParamInfo)(add, 2, &offset, &bytes));
  EXPECT_EQ(offset, 12U);
  EXPECT_EQ(DRIVER(cuFuncGetParamInfo)(add, 3, &offset, &bytes), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuModuleUnload)(module));
  EXPECT_EQ(launch(add, 1, 1, 0), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(DRIVER(cuModuleUnload)(module), CUDA_ERROR_INVALID_HANDLE);
}

DEVICE_TEST(Module, BadImagesAreRefusedWithALog) {
  start();
  EXPECT_NE(errorOf("this is no code", CUDA_ERROR_INVALID_IMAGE).find("neither PTX nor a cubin"),
            std::string::npos);
  std::string bad = kSnippets;
  bad.replace(bad.find("add.f32"), 7, "frobnicate.f32");
  EXPECT_NE(errorOf(bad.c_str(), CUDA_ERROR_INVALID_PTX).find("frobnicate"), std::string::npos);
  errorOf(kSnippets, CUDA_SUCCESS);
}

DEVICE_TEST(Module, CubinRunsByThePtxBesideIt) {
  std::string folder = scratchFile("ptx");
  ASSERT_EQ(std::system(("mkdir -p " + folder).c_str()), 0);
  setenv("CUDASIM_PTX_DIR", folder.c_str(), 1);
  start();
  std::string text = errorOf(cubin(90).c_str(), CUDA_ERROR_NO_BINARY_FOR_GPU);
  ASSERT_NE(text.find(".ptx"), std::string::npos) << text;
  std::string name = text.substr(text.find(".ptx") - 16, 20); // the message says which file it looked for
  std::ofstream(folder + "/" + name) << kSnippets;
  errorOf(cubin(90).c_str(), CUDA_SUCCESS);
  EXPECT_NE(errorOf(cubin(80).c_str(), CUDA_ERROR_NO_BINARY_FOR_GPU).find("sm_80"), std::string::npos);
}

DEVICE_TEST(Launch, LimitsAreChecked) {
  start();
  CUfunction sized = kernel(loadSnippets(), "sized"); // at most 64 threads, 1024 bytes of its own
  EXPECT_OK(launch(sized, 1, 64, 16));
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
  EXPECT_EQ(launch(sized, 0, 64, 16), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(sized, 1, 0, 16), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(sized, 1, 65, 16), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(sized, 1, 64, (48 << 10) - 1024 + 1), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(DRIVER(cuFuncSetAttribute)(sized, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10));
  EXPECT_OK(launch(sized, 1, 64, 100 << 10));
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
  EXPECT_EQ(DRIVER(cuFuncSetAttribute)(sized, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 << 10),
            CUDA_ERROR_INVALID_VALUE); // with its own 1024 bytes too many
  EXPECT_EQ(DRIVER(cuLaunchKernel)(sized, 1, 65536, 1, 64, 1, 1, 16, nullptr, nullptr, nullptr),
            CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Launch, ParametersAreChecked) {
  start();
  CUfunction add = kernel(loadSnippets(), "add");
  EXPECT_EQ(launch(add, 1, 32, 0), CUDA_ERROR_INVALID_VALUE); // it takes three
  CUdeviceptr data = upload({1});
  struct {
    CUdeviceptr pointer;
    float value;
    uint32_t count;
  } packed{data, 2, 1};
  size_t bytes = sizeof packed;
  void *extra[] = {reinterpret_cast<void *>(CU_LAUNCH_PARAM_BUFFER_POINTER), &packed,
                   reinterpret_cast<void *>(CU_LAUNCH_PARAM_BUFFER_SIZE), &bytes,
                   reinterpret_cast<void *>(CU_LAUNCH_PARAM_END)};
  EXPECT_OK(DRIVER(cuLaunchKernel)(add, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra));
  EXPECT_EQ(download(data, 1)[0], 3);
  bytes = 8;
  EXPECT_EQ(DRIVER(cuLaunchKernel)(add, 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr, extra),
            CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Launch, Occupancy) {
  start();
  CUmodule module = loadSnippets();
  CUfunction add = kernel(module, "add"), sized = kernel(module, "sized");
  int blocks = 0, grid = 0, block = 0;
  EXPECT_OK(DRIVER(cuOccupancyMaxActiveBlocksPerMultiprocessor)(&blocks, add, 256, 0));
  EXPECT_EQ(blocks, 8); // 2048 threads
  EXPECT_OK(DRIVER(cuOccupancyMaxActiveBlocksPerMultiprocessor)(&blocks, add, 32, 0));
  EXPECT_EQ(blocks, 32);
  EXPECT_OK(DRIVER(cuOccupancyMaxActiveBlocksPerMultiprocessor)(&blocks, sized, 64, 98 << 10));
  EXPECT_EQ(blocks, 2); // 228 KiB, each block 98 + 1 + 1 reserved
  EXPECT_OK(DRIVER(cuOccupancyMaxPotentialBlockSize)(&grid, &block, add, nullptr, 0, 0));
  EXPECT_EQ(block, 1024);
  EXPECT_EQ(grid, 2 * 132);
}
