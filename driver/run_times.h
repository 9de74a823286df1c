// How long one run of a program takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "support/result.h"

namespace gradc {

/// For so long `gradc run --time` times a function.
constexpr double kTimedSeconds = 1;

struct RunTimes {
  double compileMs = 0;                            // planning and compiling; 0: nothing was
  double medianMs = 0, tenthMs = 0, fastestMs = 0; // tenthMs: a tenth are faster
  int64_t runs = 0;

  /// Runs again and again for about so many seconds, and at least for so many samples; short runs are timed several at
  /// once, so that reading the clock takes no share.
  Status sample(double seconds, size_t least, const std::function<Status()> &run);
  /// "median 1.2000 ms, fastest 1.1000 ms of 500 runs; compiled in 12 ms"
  std::string text() const;
};

} // namespace gradc
