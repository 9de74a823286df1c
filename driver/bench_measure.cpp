#include "driver/bench_measure.h"

#include <algorithm>

#include "support/clock.h"

namespace gradc {
namespace {

constexpr double kWarmupSeconds = 0.2;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Scalars of a training step as at its beginning; the weights barely move, however long the measurement.
void setHyperParameters(BatchRunner &runner, const TrainConfig &train) {
  for (const HyperParameter &hyper : train.hyper)
    runner.setFloat(hyper.name,
                    static_cast<float>(hyper.name == "learning_rate" ? hyper.base * 1e-3 : hyper.base));
}

/// The steps of one kernel as one: packing and the work itself. The first stands for the cost of all.
std::vector<StepTime> joined(const std::vector<StepTime> &steps) {
  std::vector<StepTime> kernels;
  for (const StepTime &s : steps) {
    if (kernels.empty() || kernels.back().name != s.name || s.flops > 0 || s.bytes > 0) {
      kernels.push_back(s);
      continue;
    }
    kernels.back().milliseconds += s.milliseconds;
    kernels.back().fastest += s.fastest;
  }
  return kernels;
}

/// What a runner's profile has gained since it was looked at last, as samples: one interrupt would spoil a mean.
class KernelSamples {
public:
  void add(const std::vector<StepTime> &steps) {
    if (steps.empty())
      return;
    latest_ = joined(steps);
    samples_.resize(latest_.size());
    totals_.resize(latest_.size());
    const int64_t runs = latest_.front().runs;
    for (size_t i = 0; runs > runs_ && i < latest_.size(); ++i) {
      const double total = latest_[i].milliseconds * static_cast<double>(runs);
      samples_[i].push_back((total - totals_[i]) / static_cast<double>(runs - runs_));
      totals_[i] = total;
    }
    runs_ = runs;
  }

  std::vector<StepTime> medians() const {
    std::vector<StepTime> kernels = latest_;
    for (size_t i = 0; i < kernels.size(); ++i)
      kernels[i].milliseconds = median(samples_[i]);
    return kernels;
  }

private:
  std::vector<StepTime> latest_;
  std::vector<std::vector<double>> samples_;
  std::vector<double> totals_;
  int64_t runs_ = 0;
};

} // namespace

StatusOr<Feed> Feed::make(const Session &session) {
  DataSource source;
  source.kind = DataSource::Kind::Synthetic;
  source.examples = kBatches * session.batchSize();
  StatusOr<Dataset> data = loadDataset(source, session.model.data.inputs, "", session.model.train.seed);
  if (!data)
    return std::unexpected(data.error());
  return Feed(std::move(*data), session.batchSize());
}

Feed::Feed(Dataset data, int64_t batch)
    : data_(std::move(data)), order_(epochOrder(data_.examples, 0, 0, true)), batch_(batch),
      runs_(std::make_unique<OpenRuns<int>>([](BatchRunner &, int) { return okStatus(); })) {}

Status Feed::run(BatchRunner &runner) {
  const auto examples = std::span(order_).subspan(next_ * batch_, batch_);
  next_ = (next_ + 1) % kBatches;
  return runs_->start(runner, data_, examples, 0);
}

StatusOr<Measured> measure(double seconds, Session &session, Runners &runners, Feed &feed, ProgramKind kind) {
  Measured m;
  const Clock::time_point start = Clock::now();
  StatusOr<BatchRunner *> found = runners.get(kind, session.batchSize());
  if (!found)
    return std::unexpected(found.error());
  m.compileMs = secondsSince(start) * 1e3;
  BatchRunner &runner = **found;
  m.arenaBytes = runner.program().arena_bytes;
  setHyperParameters(runner, session.model.train);
  Status status;
  int64_t step = 0;
  const auto run = [&] {
    if (kind == ProgramKind::TrainStep)
      runners.beforeStep(step++);
    return feed.run(runner);
  };
  for (const Clock::time_point warm = Clock::now();
       status.ok() && secondsSince(warm) < std::min(kWarmupSeconds, seconds);)
    status = run();
  if (status.ok() && kind == ProgramKind::Infer)
    status = feed.finishAll();
  if (status.ok())
    status = m.sample(seconds, 5, [&] { return kind == ProgramKind::Infer ? runner.run() : run(); });
  runner.setProfiling(true);
  KernelSamples kernels;
  const Clock::time_point begin = Clock::now();
  for (int runs = 0; status.ok() && (secondsSince(begin) < seconds / 2 || runs < 5); ++runs) {
    status = run();
    kernels.add(runner.stepTimes());
  }
  if (status.ok())
    status = feed.finishAll();
  if (!status.ok())
    return std::unexpected(status);
  kernels.add(runner.stepTimes());
  m.kernels = kernels.medians();
  runner.setProfiling(false);
  return m;
}

} // namespace gradc
