// Initial values of variables: a pure function of (seed, variable name, specification). One file serves every
// backend and the stand-alone executable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/embed/init.h"
#include "runtime/thread_pool.h"
#include "support/config.h"
#include "support/result.h"

namespace gradc {

/// Elements of the variable's shape.
int64_t elementCount(const VariableSpec &variable);

/// The rule by which each element is computed by itself, which is all that a compiled object can do; nothing for
/// orthogonal, values and npy.
std::optional<gradc_init_rule> initRule(const VariableSpec &variable);

/// Fills `out` (row-major, elementCount floats). Computes in double and rounds once. Files named by an initialiser
/// are looked up in `folder`. Adding a variable does not change the values of another.
Status initialise(const VariableSpec &variable, uint64_t seed, const std::string &folder, ThreadPool &pool,
                  std::span<float> out);

} // namespace gradc
