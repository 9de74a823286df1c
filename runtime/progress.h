// How a run shows where it is, on stderr.
//
//   bar    a line that is redrawn, and one that stays per epoch; for terminals
//   plain  key=value lines, one per epoch and at most one per 10 s within it
//   json   the lines of metrics.jsonl
//   none   nothing
//   auto   bar on a terminal, else plain
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/records.h"

namespace gradc {

enum class ProgressMode { Auto, Bar, Plain, Json, None };
std::optional<ProgressMode> parseProgressMode(std::string_view name);

class Progress {
public:
  explicit Progress(ProgressMode mode, std::FILE *out = stderr);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  ProgressMode mode() const { return mode_; }
  /// Whether step() would show anything now: callers need not make a record otherwise.
  bool wantsStep(double elapsedSeconds) const;
  void step(const StepRecord &record);
  void epoch(const EpochRecord &record);
  /// A line of text; json makes an event of it.
  void message(std::string_view text);

private:
  void clearLine();

  ProgressMode mode_;
  std::FILE *out_;
  double shown_ = 0; // elapsed seconds when step() last showed something
  bool lineOpen_ = false;
};

/// "train_loss=0.4312 train_accuracy=0.8510"
std::string keyValues(const NamedValues &values);
/// "0:07", "1:02:03"
std::string duration(double seconds);

} // namespace gradc
