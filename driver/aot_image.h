// The tables of an executable (runtime/image.h) as a C file.
#pragma once

#include "driver/aot_executable.h"
#include "driver/toolchain.h"

namespace gradc {

/// Writes model.c into the folder, and beside it what that includes: weights, code for CUDA devices.
Status writeImage(const ExecutableParts &parts, LinkFolder &folder);

} // namespace gradc
