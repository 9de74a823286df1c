// A simulated device for a test, loaded as a program loads a driver: dlopen of libcuda.so.1 and dlsym. The device reads
// its environment once, so each test runs in a process of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "driver/cuda_api.h"

namespace cudasim::test {

using Environment = std::initializer_list<std::pair<const char *, const char *>>;

/// Runs the body in a child process with these variables set; its failed expectations fail the test. Returns what the
/// body returned.
int inChild(const std::vector<std::pair<std::string, std::string>> &environment, int (*body)());
void inChild(Environment environment, void (*body)());

/// A function of the driver, of cuBLAS or of cuBLASLt; a failure of the test if it is not there.
void *symbol(const char *library, const char *name);

#define DRIVER(name) reinterpret_cast<decltype(&::name)>(::cudasim::test::symbol("libcuda.so.1", #name))
#define EXPECT_OK(call) EXPECT_EQ(call, CUDA_SUCCESS)
#define ASSERT_OK(call) ASSERT_EQ(call, CUDA_SUCCESS)

/// TEST(suite, name) whose body runs in its own process; behind the name {"VARIABLE", "value"} pairs may follow.
#define DEVICE_TEST(suite, name, ...)                                                                        \
  static void suite##_##name();                                                                              \
  TEST(suite, name) { ::cudasim::test::inChild({__VA_ARGS__}, suite##_##name); }                             \
  static void suite##_##name()

/// cuInit and the primary context made current; that is all a test needs to begin.
CUcontext start();

/// The kernels of snippets.ptx: see there.
CUmodule loadSnippets();
CUfunction kernel(CUmodule module, const char *name);
extern const char *const kSnippets;

/// Device memory with these values.
CUdeviceptr upload(const std::vector<float> &values);
CUdeviceptr allocate(size_t floats);
std::vector<float> download(CUdeviceptr from, size_t count);
/// Pinned host memory, and a stream that is not ordered with the legacy stream.
float *pinned(size_t floats);
CUstream stream(unsigned flags = CU_STREAM_NON_BLOCKING);
CUevent event(unsigned flags = CU_EVENT_DISABLE_TIMING);

/// Launches add(pointer, value, count): adds the value to each element, one block of 128 threads per 128 elements.
CUresult launchAdd(CUfunction add, CUdeviceptr pointer, float value, uint32_t count, CUstream stream);

/// The lines of a file, such as CUDASIM_LOG's.
std::vector<std::string> linesOf(const std::string &path);
/// Of these, how many contain the text.
size_t countLines(const std::vector<std::string> &lines, const std::string &text);

/// A path for a file of the test that runs in this process; the file is removed with the test.
std::string scratchFile(const std::string &name);

} // namespace cudasim::test
