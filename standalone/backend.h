// Devices that are no processors, as an executable comes to them. Executables for processors alone are linked without
// any, and stay small.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"
#include "runtime/image.h"

namespace gradc {

/// What --device comes to: a device, and the programs for it.
struct Placement {
  const gradc_version *version = nullptr;
  std::unique_ptr<Device> device;
};

} // namespace gradc

struct gradc_backend {
  /// Device (6) where there is no such device, or no program for it.
  gradc::StatusOr<gradc::Placement> (*place)(const gradc_image &image, const std::string &device,
                                             gradc::ThreadPool &pool);
  /// All that the image has programs for: "sm_80, sm_90 and later, sapphirerapids"
  std::string (*targets)(const gradc_image &image);
};
