#include "runtime/device_name.h"

#include <charconv>
#include <string_view>

#include <fmt/format.h>

namespace gradc {

StatusOr<DeviceName> parseDevice(const std::string &text) {
  DeviceName device;
  if (text == "cpu")
    return device;
  device.cuda = true;
  if (text == "cuda")
    return device;
  const std::string_view prefix = "cuda:";
  const char *begin = text.data() + prefix.size(), *end = text.data() + text.size();
  if (text.starts_with(prefix) && begin != end)
    if (const auto [last, error] = std::from_chars(begin, end, device.index);
        error == std::errc{} && last == end && device.index >= 0)
      return device;
  return failure(ExitCode::Usage, fmt::format("--device is cpu, cuda or cuda:<number>, but got '{}'", text));
}

} // namespace gradc
