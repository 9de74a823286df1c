#include "driver/module.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "driver/results.h"

namespace cudasim {
namespace {

Failure noBinary(std::string text) { return {CUDA_ERROR_NO_BINARY_FOR_GPU, std::move(text)}; }

/// A cubin runs on its own architecture and on those of the same major number above it.
bool runsOn(int architecture, const DeviceProfile &profile) {
  return architecture / 10 == profile.major && architecture % 10 <= profile.minor;
}

/// The PTX that NVRTC made of the same text: the simulated device cannot execute machine code.
std::expected<std::string, Failure> ptxOf(const Settings &settings, std::span<const uint8_t> cubin) {
  std::string name = fmt::format("{:016x}.ptx", XXH64(cubin.data(), cubin.size(), 0));
  if (settings.ptxFolder.empty())
    return std::unexpected(noBinary(fmt::format(
        "the simulated device runs a cubin by its PTX, {}, but CUDASIM_PTX_DIR does not say where that is",
        name)));
  std::ifstream file(settings.ptxFolder + "/" + name, std::ios::binary);
  if (!file)
    return std::unexpected(noBinary(fmt::format(
        "the simulated device runs a cubin by its PTX, but '{}/{}' is not there", settings.ptxFolder, name)));
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::expected<std::shared_ptr<Image>, Failure> loadPtx(Driver &driver, std::string_view ptx) {
  auto module = Module::load(ptx, *driver.memory, driver.profile);
  if (!module)
    return std::unexpected(Failure{CUresult(module.error().code), module.error().text});
  auto image = std::make_shared<Image>();
  image->module = std::move(*module);
  return image;
}

std::expected<std::shared_ptr<Image>, Failure> loadCubin(Driver &driver, std::span<const uint8_t> cubin) {
  auto facts = readCubin(cubin);
  if (!facts)
    return std::unexpected(Failure{CUDA_ERROR_INVALID_IMAGE, facts.error()});
  if (!runsOn(facts->architecture, *driver.profile))
    return std::unexpected(noBinary(
        fmt::format("the cubin is for sm_{}, the device is {}", facts->architecture, driver.profile->name)));
  auto ptx = ptxOf(driver.settings, cubin);
  if (!ptx)
    return std::unexpected(ptx.error());
  auto image = loadPtx(driver, *ptx);
  if (image)
    (*image)->facts = std::move(*facts);
  return image;
}

int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

std::expected<std::shared_ptr<Image>, Failure> loadImage(Driver &driver, const void *data) {
  if (size_t bytes = cubinBytes(data))
    return loadCubin(driver, {static_cast<const uint8_t *>(data), bytes});
  std::string_view text(static_cast<const char *>(data)); // PTX ends with a zero
  if (text.find(".version") == text.npos)
    return std::unexpected(Failure{CUDA_ERROR_INVALID_IMAGE, "the image is neither PTX nor a cubin"});
  if (driver.settings.faults.oldDriver)
    return std::unexpected(
        Failure{CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "CUDASIM_FAIL=olddriver: PTX of CUDA 13 is too new"});
  return loadPtx(driver, text);
}

int64_t Function::dynamicSharedLimit(const DeviceProfile &profile) const {
  return allowedDynamicShared.value_or(profile.sharedPerBlock - kernel->staticShared);
}

int Function::maxThreads(const DeviceProfile &profile) const {
  int limit = kernel->maxThreads ? std::min(kernel->maxThreads, profile.maxThreadsPerBlock)
                                 : profile.maxThreadsPerBlock;
  if (registers > 0) // allocated for whole warps, 256 at a time
    while (limit > 32 &&
           roundUp(int64_t{registers} * 32, 256) * ((limit + 31) / 32) > profile.registersPerMultiprocessor)
      limit -= 32;
  return limit;
}

// Gives the numbers of cuda_occupancy.h of CUDA 13 (compared in 32,340 cases over all profiles). CUDA C++
// Programming Guide, "Compute Capabilities": registers are given to warps in units of 256, and to four sub-partitions
// separately; shared memory to blocks in units of 128 bytes from compute capability 8.0 on (256 before), with 1 KiB
// more for the system.
int residentBlocks(const DeviceProfile &profile, const Function &function, int64_t threads,
                   int64_t dynamicShared) {
  if (threads <= 0 || threads > function.maxThreads(profile) ||
      function.kernel->staticShared + dynamicShared > profile.sharedPerBlockOptIn)
    return 0;
  int64_t warps = (threads + 31) / 32;
  int64_t blocks = std::min<int64_t>(profile.maxBlocksPerMultiprocessor,
                                     profile.maxThreadsPerMultiprocessor / (warps * 32));
  int64_t reserved = profile.major >= 8 ? 1024 : 0;
  int64_t shared =
      roundUp(function.kernel->staticShared + dynamicShared + reserved, profile.major >= 8 ? 128 : 256);
  if (shared > 0)
    blocks = std::min(blocks, profile.sharedPerMultiprocessor / shared);
  if (function.registers > 0) {
    int64_t warpRegisters = roundUp(int64_t{function.registers} * 32, 256);
    int64_t residentWarps = profile.registersPerMultiprocessor / 4 / warpRegisters * 4;
    blocks = std::min(blocks, residentWarps / warps);
  }
  return int(blocks);
}

} // namespace cudasim
