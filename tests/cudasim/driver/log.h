// CUDASIM_LOG=FILE: what the device did, one JSON object a line, in the order in which it ran.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace cudasim {

class Log {
public:
  /// Appends, as several processes of one test may write the same file.
  bool open(const std::string &path);
  bool on() const { return file_ != nullptr; }
  /// `fields`: what stands behind "event", e.g. R"("bytes": 4)".
  void write(std::string_view event, std::string_view fields);

private:
  std::FILE *file_ = nullptr;
};

/// With quotes, as JSON writes it.
std::string quoted(std::string_view text);

} // namespace cudasim
