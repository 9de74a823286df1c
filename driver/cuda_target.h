// From a CUDA device that is there to the target of code generation.
#pragma once

#include "codegen/cuda/target.h"
#include "runtime/cuda/context.h"

namespace gradc {

/// The row of the device's architecture; where the table has none, that of the newest which is older, under the device's
/// number.
CudaTarget cudaTargetOf(const cuda::Context &context);

} // namespace gradc
