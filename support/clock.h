// Time that only goes forward.
#pragma once

#include <chrono>

namespace gradc {

using Clock = std::chrono::steady_clock;

inline double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace gradc
