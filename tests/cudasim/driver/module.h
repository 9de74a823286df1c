// Loaded modules and their kernels.
#pragma once

#include <optional>
#include <span>

#include "driver/driver.h"

namespace cudasim {

/// What a cubin's ELF file says.
struct CubinFacts {
  int architecture = 0; // 90 of sm_90
  std::map<std::string, int, std::less<>> registers;
};
/// The size of the ELF image that starts at `data`, 0 for none: the driver API is not told it.
size_t cubinBytes(const void *data);
std::expected<CubinFacts, std::string> readCubin(std::span<const uint8_t> image);

/// Code that the machine runs, and what a cubin adds to it. Functions keep it alive.
struct Image {
  std::unique_ptr<Module> module;
  CubinFacts facts;
};

struct Function : Object {
  std::string name;
  std::shared_ptr<const Image> image;
  const Kernel *kernel = nullptr;
  int registers = 0;                           // a thread; 0: loaded from PTX, where they are not known
  std::optional<int64_t> allowedDynamicShared; // by cuFuncSetAttribute

  /// Dynamic shared memory that a launch may ask for.
  int64_t dynamicSharedLimit(const DeviceProfile &profile) const;
  int maxThreads(const DeviceProfile &profile) const;
};

struct LoadedModule : Object {
  std::shared_ptr<const Image> image;
  std::map<std::string, std::shared_ptr<Function>, std::less<>> functions;
};

/// Loads PTX text or a cubin; a failure's text is what the JIT's error log shows.
std::expected<std::shared_ptr<Image>, Failure> loadImage(Driver &driver, const void *data);

/// Blocks of the kernel that are resident on one multiprocessor at a time; 0: it cannot be launched so.
int residentBlocks(const DeviceProfile &profile, const Function &function, int64_t threads,
                   int64_t dynamicShared);

/// Fills a launch in and says what the documented checks of cuLaunchKernel find.
CUresult makeLaunch(Driver &driver, Context &context, const CUDA_KERNEL_NODE_PARAMS &asked,
                    KernelLaunch &launch);

std::optional<Failure> runKernel(Driver &driver, Context &context, const KernelLaunch &kernel,
                                 uint64_t replay);

} // namespace cudasim
