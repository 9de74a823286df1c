// What --device names: "cpu", "cuda" or "cuda:<number>".
#pragma once

#include <string>

#include "support/result.h"

namespace gradc {

struct DeviceName {
  bool cuda = false;
  int index = 0;
};
StatusOr<DeviceName> parseDevice(const std::string &text);

} // namespace gradc
