// Targets that are not this machine.
#pragma once

#include <set>

#include "codegen/cpu/target.h"

namespace gradc {

/// "aarch64-linux-gnu" or "x86_64-linux-gnu" and a processor of the table; "native" is the least that the architecture
/// has. Errors propose the nearest name.
StatusOr<CpuTarget> parseTarget(std::string_view triple, std::string_view mcpu);

/// The best x86 processor of the table whose instructions are all among the features, which have LLVM's names. AMD's are
/// known by instructions that only they have.
std::string_view processorWith(const std::set<std::string, std::less<>> &features);

} // namespace gradc
