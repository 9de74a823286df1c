// gradc compile --report: where the bytes of a compiled model are.
#pragma once

#include <string>
#include <vector>

#include "driver/aot_programs.h"

namespace gradc {

/// A table per program: code, weights and memory of each step, under the model's names; of CUDA devices also what each
/// kernel takes. Fails on a cubin that is none.
StatusOr<std::string> sizeReport(const std::vector<CompiledVersion> &versions);

} // namespace gradc
