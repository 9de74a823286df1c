// Finding what the options of autodiff name, and what it and the optimizer ask of functions.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ir/ir.h"

namespace gradc {

/// The value of the function's body with that name.
std::optional<ValueId> findValue(const Function &fn, std::string_view name);

/// "there is no function @x; did you mean …?"
Reported reportNoFunction(const Module &module, std::string_view name, Diagnostics &diag);

/// What `wrt` names: @variable, %value, a bare word for either, or a list of those. Unit: all trainable parameters
/// that are arguments. Values must be floats.
Result<std::vector<ValueId>> findWrt(const Module &module, const Function &fn, const Attr &wrt,
                                     Diagnostics &diag);

/// An error for the first value that is not row-major: passes choose layouts after differentiation.
Result<void> checkRowMajor(const Function &fn, Diagnostics &diag);

/// Whether the variable is a parameter that training changes.
bool isTrainable(const Variable &variable);

} // namespace gradc
