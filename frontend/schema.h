// JSON Schema (draft-07) of the model file, for editors, derived from the tables that the reader checks by.
#pragma once

#include <string>

namespace gradc {

std::string modelSchema();

} // namespace gradc
