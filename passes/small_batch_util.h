// Which batches are small: they fill less than half of a vector, and neighbouring pixels or columns lie in the lanes instead.
#pragma once

#include "support/lanes.h"

namespace gradc {

inline constexpr int64_t kSmallBatch = kLanes / 2;

} // namespace gradc
