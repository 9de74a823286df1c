// What the code of a kernel is called.
#pragma once

#include <string>
#include <string_view>

#include "ir/ir.h"

namespace gradc {

/// `matmul_64x512x784_bias_relu_3fa9…`: what the kernel computes and a hash of region, types, layouts, schedule and
/// `generator`, without names and places. Kernels with equal symbols share code. `generator` is everything else that
/// decides which code is made: a version of the generator, and the target.
std::string kernelSymbol(const Function &fn, OpId kernel, std::string_view generator);

/// Where the op that names the kernel stands in the model file.
const Location &kernelPlace(const Function &fn, OpId kernel);

} // namespace gradc
