// What generated kernels call: CUDA C++ without a header. exp, log, tanh, erf and pow of f32 are the CPU's algorithms
// operation by operation (codegen/elementary.h), random bits are support/philox.h's, casts are those of the op `cast`.
#pragma once

#include <string>
#include <string_view>

namespace gradc {

/// The beginning of a module: the definitions that the code calls by name, each after those that it calls itself.
std::string cudaPrelude(std::string_view code);

} // namespace gradc
