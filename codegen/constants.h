// Module constants by value.
#pragma once

#include <optional>

#include "ir/ir.h"

namespace gradc {

/// The function with the values of module constants in place of their names, so that kernels stand for themselves:
/// nothing where it names none.
std::optional<Function> withConstants(const Module &module, const Function &fn);

} // namespace gradc
