// The reports of --timing and --statistics.
#include "passes/pass.h"

#include <fmt/format.h>

namespace gradc {

std::string PassManager::timingReport() const {
  double total = 0;
  for (const PassTiming &timing : timings_)
    total += timing.milliseconds;
  std::string text = "       ms  share  pass\n";
  for (const PassTiming &timing : timings_)
    text += fmt::format("{:9.3f}  {:4.1f}%  {}{}\n", timing.milliseconds,
                        total > 0 ? 100 * timing.milliseconds / total : 0.0, timing.pass,
                        timing.changed ? "" : " (no change)");
  return text + fmt::format("{:9.3f}         total\n", total);
}

std::string PassManager::statisticsReport() const {
  std::string text;
  for (const auto &[pass, counts] : statistics_)
    for (const auto &[what, count] : counts)
      text += fmt::format("{:9}  {}: {}\n", count, pass, what);
  return text;
}

} // namespace gradc
