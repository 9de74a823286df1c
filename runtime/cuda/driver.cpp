#include "runtime/cuda/driver.h"

#include <fmt/format.h>

namespace gradc::cuda {
namespace {

constexpr const char *kNames[] = {"libcuda.so.1"};
constexpr int kOldest = 12000; // its functions are those of the table

Status tooOld(const std::string &why) {
  return {ExitCode::Device,
          fmt::format("the CUDA driver is too old: {}; gradc needs one for CUDA {}.{} or later", why,
                      kOldest / 1000, kOldest % 1000 / 10)};
}

} // namespace

StatusOr<const Driver *> Driver::load() {
  static const StatusOr<Driver> loaded = make();
  if (!loaded)
    return std::unexpected(loaded.error());
  return &*loaded;
}

StatusOr<Driver> Driver::make() {
  StatusOr<DynamicLibrary> library = openCudaLibrary(kNames);
  if (!library)
    return failure(
        ExitCode::Device,
        fmt::format("there is no CUDA driver: {}; it comes with NVIDIA's display driver; --device cpu "
                    "needs none",
                    library.error().text));
  Driver driver;
  driver.path = library->path();
  const char *missing = nullptr;
#define GRADC_FIND(member, name, parameters)                                                                 \
  if (!library->find(name, driver.member))                                                                   \
    missing = missing ? missing : name;
  GRADC_CUDA_DRIVER(GRADC_FIND)
#undef GRADC_FIND
  if (missing)
    return std::unexpected(tooOld(fmt::format("'{}' has no {}", driver.path, missing)));
  if (Status started = driver.start(); !started.ok())
    return std::unexpected(started);
  if (Status known = driver.check(driver.driverGetVersion(&driver.version), "asking its version");
      !known.ok())
    return std::unexpected(known);
  if (driver.version < kOldest)
    return std::unexpected(tooOld(fmt::format("it is for CUDA {}", driver.versionText())));
  return driver;
}

Status Driver::start() const {
  const Code code = init(0);
  if (code == kStubLibrary)
    return {ExitCode::Device,
            fmt::format(
                "'{}' is the CUDA toolkit's stub library, made for linking, not the driver: take its folder "
                "out of LD_LIBRARY_PATH",
                path)};
  int count = 0;
  if (code == kNoDevice || (code == kSuccess && deviceGetCount(&count) == kSuccess && count == 0))
    return {
        ExitCode::Device,
        "the CUDA driver sees no device; nvidia-smi lists what is there, CUDA_VISIBLE_DEVICES hides devices"};
  return check(code, "starting the driver");
}

std::string Driver::versionText() const { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string Driver::describe(Code code) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName(code, &name) != kSuccess || getErrorString(code, &text) != kSuccess || !name || !text)
    return fmt::format("error {}", code);
  return fmt::format("{}: {}", name, text);
}

Status Driver::check(Code code, const char *what) const {
  if (code == kSuccess)
    return okStatus();
  return {ExitCode::Device, fmt::format("CUDA: {} failed: {}", what, describe(code))};
}

} // namespace gradc::cuda
