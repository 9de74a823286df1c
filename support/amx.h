// The tile unit of x86 (AMX): whether this process may use it.
#pragma once

#include <string_view>

namespace gradc {

/// Asks the operating system, the first time, to let this process and its threads use tile registers. Call it before
/// threads start. Empty where tiles of bf16 can be used, else what is missing, as a user reads it.
std::string_view whyNoAmx();

} // namespace gradc
