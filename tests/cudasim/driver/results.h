#pragma once

#include "driver/cuda_abi.h"

namespace cudasim {

/// Null for a value that is no result.
const char *resultName(CUresult result);
const char *resultText(CUresult result);

} // namespace cudasim
