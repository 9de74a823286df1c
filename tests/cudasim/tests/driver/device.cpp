#include "tests/driver/device.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace cudasim::test {

namespace {

constexpr int kFailed = 100;

/// Of one test's process, made by its first scratch file and removed by the process that waits for it.
std::string scratchFolder(pid_t process) { return testing::TempDir() + "cudasim-" + std::to_string(process); }

int childStatus(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  std::filesystem::remove_all(scratchFolder(child));
  EXPECT_TRUE(WIFEXITED(status)) << "the test's process ended by signal " << WTERMSIG(status);
  EXPECT_NE(WEXITSTATUS(status), kFailed) << "an expectation failed in the test's process";
  return WEXITSTATUS(status);
}

template <typename Variables, typename Body> int fork(const Variables &variables, Body body) {
  std::fflush(nullptr);
  pid_t child = ::fork();
  EXPECT_GE(child, 0);
  if (child != 0)
    return childStatus(child);
  for (const auto &[name, value] : variables)
    setenv(std::string(name).c_str(), std::string(value).c_str(), 1);
  int result = body();
  std::fflush(nullptr);
  _exit(testing::Test::HasFailure() ? kFailed : result);
}

} // namespace

int inChild(const std::vector<std::pair<std::string, std::string>> &environment, int (*body)()) {
  return fork(environment, body);
}

void inChild(Environment environment, void (*body)()) {
  fork(environment, [&] { return body(), 0; });
}

void *symbol(const char *library, const char *name) {
  void *handle = dlopen((std::string(CUDASIM_LIBRARIES "/") + library).c_str(), RTLD_NOW);
  if (!handle) {
    ADD_FAILURE() << dlerror();
    std::abort();
  }
  void *found = dlsym(handle, name);
  if (!found) {
    ADD_FAILURE() << library << " has no " << name;
    std::abort();
  }
  return found;
}

CUcontext start() {
  CUcontext context = nullptr;
  EXPECT_OK(DRIVER(cuInit)(0));
  EXPECT_OK(DRIVER(cuDevicePrimaryCtxRetain)(&context, 0));
  EXPECT_OK(DRIVER(cuCtxSetCurrent)(context));
  return context;
}

CUmodule loadSnippets() {
  CUmodule module = nullptr;
  EXPECT_OK(DRIVER(cuModuleLoadData)(&module, kSnippets));
  return module;
}

CUfunction kernel(CUmodule module, const char *name) {
  CUfunction function = nullptr;
  EXPECT_OK(DRIVER(cuModuleGetFunction)(&function, module, name));
  return function;
}

CUdeviceptr allocate(size_t floats) {
  CUdeviceptr pointer = 0;
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&pointer, floats * sizeof(float)));
  return pointer;
}

CUdeviceptr upload(const std::vector<float> &values) {
  CUdeviceptr pointer = allocate(values.size());
  EXPECT_OK(DRIVER(cuMemcpyHtoD_v2)(pointer, values.data(), values.size() * sizeof(float)));
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
  return pointer;
}

std::vector<float> download(CUdeviceptr from, size_t count) {
  std::vector<float> values(count);
  EXPECT_OK(DRIVER(cuMemcpyDtoH_v2)(values.data(), from, count * sizeof(float)));
  return values;
}

float *pinned(size_t floats) {
  void *pointer = nullptr;
  EXPECT_OK(DRIVER(cuMemHostAlloc)(&pointer, floats * sizeof(float), 0));
  std::fill_n(static_cast<float *>(pointer), floats, 0.0F);
  return static_cast<float *>(pointer);
}

CUstream stream(unsigned flags) {
  CUstream made = nullptr;
  EXPECT_OK(DRIVER(cuStreamCreate)(&made, flags));
  return made;
}

CUevent event(unsigned flags) {
  CUevent made = nullptr;
  EXPECT_OK(DRIVER(cuEventCreate)(&made, flags));
  return made;
}

CUresult launchAdd(CUfunction add, CUdeviceptr pointer, float value, uint32_t count, CUstream stream) {
  void *parameters[] = {&pointer, &value, &count};
  return DRIVER(cuLaunchKernel)(add, (count + 127) / 128, 1, 1, 128, 1, 1, 0, stream, parameters, nullptr);
}

std::vector<std::string> linesOf(const std::string &path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(line);
  return lines;
}

size_t countLines(const std::vector<std::string> &lines, const std::string &text) {
  return size_t(
      std::ranges::count_if(lines, [&](const std::string &line) { return line.find(text) != line.npos; }));
}

std::string scratchFile(const std::string &name) {
  const std::string folder = scratchFolder(getpid());
  std::filesystem::create_directories(folder);
  return folder + "/" + name;
}

// add: p[i] += value.  scale: p[i] *= value.  past: writes at a distance.  sized: has limits, and shared memory.
const char *const kSnippets = R"(
.version 8.0
.target sm_75
.address_size 64

.visible .entry add(.param .u64 p, .param .f32 value, .param .u32 count)
{
  .reg .pred %outside;
  .reg .b32 %block, %threads, %thread, %i, %n;
  .reg .f32 %x, %v;
  .reg .b64 %base, %offset, %address;
  ld.param.u64 %base, [p];
  ld.param.f32 %v, [value];
  ld.param.u32 %n, [count];
  mov.u32 %block, %ctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.s32 %i, %block, %threads, %thread;
  setp.ge.u32 %outside, %i, %n;
  @%outside bra DONE;
  cvta.to.global.u64 %base, %base;
  mul.wide.u32 %offset, %i, 4;
  add.s64 %address, %base, %offset;
  ld.global.f32 %x, [%address];
  add.f32 %x, %x, %v;
  st.global.f32 [%address], %x;
DONE:
  ret;
}

.visible .entry scale(.param .u64 p, .param .f32 value)
{
  .reg .b32 %thread;
  .reg .f32 %x, %v;
  .reg .b64 %base, %offset, %address;
  ld.param.u64 %base, [p];
  ld.param.f32 %v, [value];
  mov.u32 %thread, %tid.x;
  cvta.to.global.u64 %base, %base;
  mul.wide.u32 %offset, %thread, 4;
  add.s64 %address, %base, %offset;
  ld.global.f32 %x, [%address];
  mul.f32 %x, %x, %v;
  st.global.f32 [%address], %x;
  ret;
}

.visible .entry past(.param .u64 p, .param .u64 bytes)
{
  .reg .b64 %base, %offset, %address;
  .reg .f32 %x;
  ld.param.u64 %base, [p];
  ld.param.u64 %offset, [bytes];
  add.s64 %address, %base, %offset;
  mov.f32 %x, 0f3F800000;
  st.global.f32 [%address], %x;
  ret;
}

.global .align 4 .u32 counter[4];
.extern .shared .align 16 .b8 dynamic[];

.visible .entry sized()
.maxntid 64, 1, 1
{
  .shared .align 4 .b8 fixed[1024];
  .reg .pred %other;
  .reg .b32 %r;
  mov.u32 %r, %tid.x;
  setp.ne.u32 %other, %r, 0;
  @%other bra DONE;
  st.shared.u32 [fixed], %r;
  st.shared.u32 [dynamic], %r;
DONE:
  ret;
}
)";

} // namespace cudasim::test
