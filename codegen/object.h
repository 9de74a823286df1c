// Machine code of one kernel, as it lies in the cache and goes to the linker.
#pragma once

#include <string>

#include "codegen/cpu/kernel.h"

namespace gradc {

struct KernelObject {
  std::string bytes; // a relocatable object file
  KernelCode code;
};

/// One text form; unserialize refuses anything that is not whole and intact.
std::string serialize(const KernelObject &object);
bool unserialize(std::string_view text, KernelObject &object);

} // namespace gradc
