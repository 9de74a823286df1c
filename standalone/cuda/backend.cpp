// CUDA devices of executables: `gradc compile --device cuda`.
#include "standalone/backend.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/cuda/device.h"
#include "runtime/cuda/fitness.h"
#include "runtime/device_name.h"
#include "standalone/executable.h"

namespace gradc {
namespace {

using cuda::CudaDevice;

/// "sm_80, sm_90 and later"
std::string architectures(const gradc_image &image) {
  std::string text;
  for (int64_t i = 0; i < image.num_versions; ++i)
    if (const gradc_version &version = image.versions[i]; version.architecture != 0)
      text += fmt::format("{}{}{}", text.empty() ? "" : ", ", version.processor,
                          version.has_ptx ? " and later" : "");
  return text;
}

std::string targets(const gradc_image &image) {
  std::string text = architectures(image);
  for (int64_t i = 0; i < image.num_versions; ++i)
    if (image.versions[i].architecture == 0)
      text += fmt::format(", {}", image.versions[i].processor);
  return text;
}

StatusOr<Placement> placeOnProcessor(const gradc_image &image, ThreadPool &pool) {
  if (image.versions[image.num_versions - 1].architecture != 0)
    return failure(
        ExitCode::Device,
        fmt::format("this executable has programs for {} only, not for processors: it was compiled with "
                    "a --precision that those do not have",
                    architectures(image)));
  StatusOr<const gradc_version *> version = processorVersion(image);
  if (!version)
    return std::unexpected(version.error());
  return Placement{*version, std::make_unique<CpuDevice>(pool)};
}

int fitnessOf(const gradc_version &version, int architecture) {
  if (version.architecture == 0)
    return 0;
  return std::max(cuda::fitness(version.architecture, false, architecture),
                  version.has_ptx ? cuda::fitness(version.architecture, true, architecture) : 0);
}

/// Null: none runs there.
const gradc_version *versionFor(const gradc_image &image, int architecture) {
  const gradc_version *best =
      std::max_element(image.versions, image.versions + image.num_versions,
                       [&](const gradc_version &a, const gradc_version &b) {
                         return fitnessOf(a, architecture) < fitnessOf(b, architecture);
                       });
  return fitnessOf(*best, architecture) > 0 ? best : nullptr;
}

StatusOr<Placement> place(const gradc_image &image, const std::string &text, ThreadPool &pool) {
  StatusOr<DeviceName> name = parseDevice(text);
  if (!name)
    return std::unexpected(name.error());
  if (!name->cuda)
    return placeOnProcessor(image, pool);
  StatusOr<std::unique_ptr<CudaDevice>> device = CudaDevice::open(name->index, pool);
  if (!device)
    return std::unexpected(device.error());
  const int architecture = (*device)->context().architecture();
  const gradc_version *version = versionFor(image, architecture);
  if (!version)
    return failure(
        ExitCode::Device,
        fmt::format("this executable has programs for {}, but none for {}; compile it with --arch sm_{}",
                    architectures(image), (*device)->description(), architecture));
  return Placement{version, std::move(*device)};
}

} // namespace
} // namespace gradc

extern "C" const gradc_backend gradc_cuda_backend = {gradc::place, gradc::targets};
