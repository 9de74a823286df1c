// Files and streams as commands take them: "-" is standard input or output.
#pragma once

#include <string>
#include <string_view>

#include "support/result.h"

namespace gradc {

StatusOr<std::string> readInput(const std::string &path);
Status writeOutput(const std::string &path, std::string_view text);

/// The name of an input in messages.
inline std::string displayName(const std::string &path) { return path == "-" ? "<stdin>" : path; }

} // namespace gradc
