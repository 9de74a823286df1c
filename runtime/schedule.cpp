#include "runtime/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gradc {
namespace {

// torch.optim.lr_scheduler.OneCycleLR's defaults.
constexpr double kOneCycleStart = 0.3, kOneCycleDivisor = 25, kOneCycleFinalDivisor = 1e4;
// torch.optim.lr_scheduler.ReduceLROnPlateau's eps: smaller changes are not made.
constexpr double kPlateauEpsilon = 1e-8;

/// From `from` at share 0 to `to` at share 1 along half a cosine.
double cosineBetween(double from, double to, double share) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * share));
}

double oneCycle(const Schedule &schedule, double t) {
  const double initial = schedule.max / kOneCycleDivisor, last = initial / kOneCycleFinalDivisor;
  const double length = static_cast<double>(schedule.length);
  const double peak = kOneCycleStart * length - 1, end = length - 1;
  t = std::min(t, end);
  if (t <= peak)
    return cosineBetween(initial, schedule.max, peak > 0 ? t / peak : 1);
  return cosineBetween(schedule.max, last, end > peak ? (t - peak) / (end - peak) : 1);
}

} // namespace

bool higherIsBetter(const std::string &monitor) { return monitor.find("accuracy") != std::string::npos; }

double ScheduledValue::shape(double t) const {
  const Schedule &s = parameter_.schedule;
  const double base = parameter_.base;
  const double share = s.length > 0 ? std::min(t / static_cast<double>(s.length), 1.0) : 1.0;
  switch (s.kind) {
  case Schedule::Kind::Constant: return base;
  case Schedule::Kind::Step: return base * std::pow(s.factor, std::floor(t / static_cast<double>(s.every)));
  case Schedule::Kind::Milestones:
    return base * std::pow(s.factor, static_cast<double>(std::ranges::count_if(
                                         s.at, [&](int64_t at) { return static_cast<double>(at) <= t; })));
  case Schedule::Kind::Exponential: return base * std::pow(s.factor, t);
  case Schedule::Kind::Cosine: return cosineBetween(base, s.min, share);
  case Schedule::Kind::Polynomial: return s.min + (base - s.min) * std::pow(1 - share, s.power);
  case Schedule::Kind::OneCycle: return oneCycle(s, t);
  case Schedule::Kind::Plateau: return current_;
  }
  return base;
}

double ScheduledValue::warmup(double t) const {
  const Schedule &s = parameter_.schedule;
  if (t >= static_cast<double>(s.warmupLength))
    return 1;
  return s.warmupFrom + (1 - s.warmupFrom) * t / static_cast<double>(s.warmupLength);
}

double ScheduledValue::at(int64_t epoch, int64_t step) const {
  const double t = static_cast<double>(parameter_.schedule.unit == Schedule::Unit::Epoch ? epoch : step);
  return shape(t) * warmup(t);
}

bool ScheduledValue::endEpoch(const Metrics &metrics) {
  const Schedule &s = parameter_.schedule;
  const auto metric = metrics.find(s.monitor);
  if (s.kind != Schedule::Kind::Plateau || metric == metrics.end())
    return false;
  const double value = metric->second;
  const bool better = !hasBest_ || (higherIsBetter(s.monitor) ? value > best_ * (1 + s.minDelta)
                                                              : value < best_ * (1 - s.minDelta));
  if (better) {
    best_ = value;
    hasBest_ = true;
    badEpochs_ = 0;
  } else {
    ++badEpochs_;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    badEpochs_ = 0;
  }
  if (badEpochs_ <= s.patience)
    return false;
  cooldown_ = s.cooldown;
  badEpochs_ = 0;
  const double reduced = std::max(current_ * s.factor, s.min);
  if (current_ - reduced <= kPlateauEpsilon)
    return false;
  current_ = reduced;
  return true;
}

void ScheduledValue::restore(const State &state) {
  current_ = state.current;
  best_ = state.best;
  badEpochs_ = state.badEpochs;
  cooldown_ = state.cooldown;
  hasBest_ = state.hasBest;
}

bool BestTracker::update(const Metrics &metrics, int64_t epoch) {
  const auto metric = metrics.find(monitor);
  const bool usable = metric != metrics.end() && std::isfinite(metric->second);
  const bool better =
      usable && (bestEpoch < 0 || (higherIsBetter(monitor) ? metric->second > best + minDelta
                                                           : metric->second < best - minDelta));
  if (!better) {
    ++badEpochs;
    return false;
  }
  best = metric->second;
  bestEpoch = epoch;
  badEpochs = 0;
  return true;
}

} // namespace gradc
