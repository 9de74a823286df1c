// Parsing a piece of JSON that stands somewhere within another text: a file, or a line of `--set` overrides.
#pragma once

#include <string>
#include <string_view>

#include "frontend/json.h"

namespace gradc {

/// The place of the text's first character.
struct JsonTextOrigin {
  std::string file;
  uint32_t line = 1;
  uint32_t column = 1;
  bool isOverride = false;
};

Result<Json> parseJsonText(std::string_view text, JsonTextOrigin origin, Diagnostics &diag);

} // namespace gradc
