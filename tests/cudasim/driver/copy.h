// Copies and fills as the API's arguments describe them.
#pragma once

#include "driver/driver.h"

namespace cudasim {

/// The documented checks of a copy's arguments. Device ranges must be allocated now, and again when the copy runs.
CUresult makeCopy(Driver &driver, const CUDA_MEMCPY3D &asked, Copy &copy);
CUresult makeFill(Driver &driver, const CUDA_MEMSET_NODE_PARAMS &asked, Fill &fill);

/// The other way round, for the functions that show what a node of a graph does.
CUDA_MEMCPY3D describe(const Copy &copy);
CUDA_MEMSET_NODE_PARAMS describe(const Fill &fill);

} // namespace cudasim
