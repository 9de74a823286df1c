// Commands that take MODEL_OR_GIR load it here.
#pragma once

#include <optional>
#include <string>

#include "ir/ir.h"
#include "support/result.h"

namespace gradc {

/// Reads, parses and verifies a .gir file. Ok in `exit`, or the code and the message on stderr already.
std::optional<Module> loadGir(const std::string &path, ExitCode &exit);

/// The function of that name; an empty name is the only function. Reports on stderr.
const Function *chooseFunction(const Module &module, const std::string &name, ExitCode &exit);

} // namespace gradc
