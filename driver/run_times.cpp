#include "driver/run_times.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "support/clock.h"

namespace gradc {

Status RunTimes::sample(double seconds, size_t least, const std::function<Status()> &run) {
  constexpr double kSampleSeconds = 50e-6;
  const Clock::time_point begin = Clock::now();
  if (Status ran = run(); !ran.ok())
    return ran;
  const double once = secondsSince(begin);
  const int64_t perSample = 1 + static_cast<int64_t>(kSampleSeconds / std::max(once, 1e-7));
  std::vector<double> samples;
  if (perSample == 1)
    samples.push_back(once * 1e3);
  while (secondsSince(begin) < seconds || samples.size() < least) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < perSample; ++i)
      if (Status ran = run(); !ran.ok())
        return ran;
    samples.push_back(secondsSince(start) * 1e3 / static_cast<double>(perSample));
  }
  std::ranges::sort(samples);
  runs = static_cast<int64_t>(samples.size()) * perSample;
  medianMs = samples[samples.size() / 2];
  tenthMs = samples[samples.size() / 10];
  fastestMs = samples.front();
  return okStatus();
}

std::string RunTimes::text() const {
  const int digits = medianMs < 0.1 ? 6 : 4; // down to a nanosecond
  std::string text = fmt::format("median {:.{}f} ms, fastest {:.{}f} ms of {} runs", medianMs, digits,
                                 fastestMs, digits, runs);
  return compileMs > 0 ? text + fmt::format("; compiled in {:.0f} ms", compileMs) : text;
}

} // namespace gradc
