// Text for stdout and stderr. What cannot be written, as on a full disk or into a pipe that nobody reads, is lost and ends
// no run: fmt::print would throw. The end of a command says what stdout has lost.
#pragma once

#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "support/result.h"

namespace gradc {

void sayText(std::FILE *file, std::string_view text);

template <class... Args> void say(std::FILE *file, fmt::format_string<Args...> format, Args &&...args) {
  sayText(file, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void say(fmt::format_string<Args...> format, Args &&...args) {
  say(stdout, format, std::forward<Args>(args)...);
}

/// Writes what stdout still holds back; exit code 5 if that, or anything before, was not written.
Status finishOutput();

} // namespace gradc
