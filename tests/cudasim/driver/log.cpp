#include "driver/log.h"

#include <fmt/format.h>

namespace cudasim {

bool Log::open(const std::string &path) {
  file_ = std::fopen(path.c_str(), "ae");
  return file_ != nullptr;
}

void Log::write(std::string_view event, std::string_view fields) {
  if (!file_)
    return;
  std::string line =
      fmt::format("{{\"event\": {}{}{}}}\n", quoted(event), fields.empty() ? "" : ", ", fields);
  std::fwrite(line.data(), 1, line.size(), file_);
  std::fflush(file_);
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text)
    if (c == '"' || c == '\\')
      result += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      result += fmt::format("\\u{:04x}", c);
    else
      result += c;
  return result + '"';
}

} // namespace cudasim
