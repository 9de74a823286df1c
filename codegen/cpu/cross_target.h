// Targets that are not this machine.
#pragma once

#include "codegen/cpu/target.h"

namespace gradc {

/// "aarch64-linux-gnu" or "x86_64-linux-gnu" and a processor of the table; "native" is the least that the architecture
/// has. Errors propose the nearest name.
StatusOr<CpuTarget> parseTarget(std::string_view triple, std::string_view mcpu);

} // namespace gradc
