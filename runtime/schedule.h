// Numbers that change during training: the schedules of docs/model-file.md, and early stopping.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "support/config.h"

namespace gradc {

/// Metrics of an epoch by their names in the log: "train_loss", "val_accuracy", …
using Metrics = std::map<std::string, double>;

/// Accuracies are to grow, everything else is to fall.
bool higherIsBetter(const std::string &monitor);

/// A hyper-parameter in the course of a run.
class ScheduledValue {
public:
  explicit ScheduledValue(HyperParameter parameter)
      : parameter_(std::move(parameter)), current_(parameter_.base) {}

  const std::string &name() const { return parameter_.name; }

  /// The value at a step; both count from 0. A pure function but for plateau, which endEpoch() drives.
  double at(int64_t epoch, int64_t step) const;

  /// Plateau, as PyTorch's ReduceLROnPlateau (relative threshold): after more than `patience` epochs without
  /// improvement the value is multiplied by `factor`. Returns true when it changed. A metric that is not there
  /// changes nothing.
  bool endEpoch(const Metrics &metrics);

  /// What a checkpoint keeps.
  struct State {
    double current = 0, best = 0;
    int64_t badEpochs = 0, cooldown = 0;
    bool hasBest = false;
  };
  State state() const { return {current_, best_, badEpochs_, cooldown_, hasBest_}; }
  void restore(const State &state);

private:
  double shape(double t) const;
  double warmup(double t) const;

  HyperParameter parameter_;
  double current_; // plateau's value
  double best_ = 0;
  int64_t badEpochs_ = 0, cooldown_ = 0;
  bool hasBest_ = false;
};

/// The best value of a metric so far, and for how many epochs it has not improved.
struct BestTracker {
  std::string monitor;
  double minDelta = 0;
  double best = 0;
  int64_t bestEpoch = -1; // -1: none yet
  int64_t badEpochs = 0;

  /// Returns true when the metric improved. A metric that is absent or not finite is no improvement.
  bool update(const Metrics &metrics, int64_t epoch);
};

} // namespace gradc
