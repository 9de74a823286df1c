#include "runtime/evaluate.h"

#include <algorithm>
#include <numeric>

namespace gradc {

int64_t batchCount(int64_t examples, int64_t batchSize, int64_t limitBatches) {
  const int64_t all = (examples + batchSize - 1) / batchSize;
  return limitBatches > 0 ? std::min(all, limitBatches) : all;
}

std::vector<int64_t> batchSizes(int64_t examples, int64_t batchSize, int64_t limitBatches) {
  const int64_t batches = batchCount(examples, batchSize, limitBatches);
  if (batches == 0)
    return {};
  const int64_t last = std::min(batchSize, examples - (batches - 1) * batchSize);
  return batches == 1 || last == batchSize ? std::vector{last} : std::vector{batchSize, last};
}

StatusOr<EvalResult> evaluate(Runners &runners, const DatasetView &view, int64_t batchSize,
                              int64_t limitBatches, std::span<const std::string> metrics) {
  EvalResult result;
  for (const std::string &name : metrics)
    result.metrics.emplace_back(name, 0.0);
  OpenRuns<int64_t> runs([&](BatchRunner &runner, int64_t rows) {
    result.loss += runner.scalar("loss");
    for (auto &[name, sum] : result.metrics)
      sum += runner.scalar(name);
    result.examples += rows;
    return okStatus();
  });
  std::vector<int64_t> examples(batchSize);
  const int64_t batches = batchCount(view.count, batchSize, limitBatches);
  for (int64_t batch = 0; batch < batches; ++batch) {
    const int64_t first = batch * batchSize, rows = std::min(batchSize, view.count - first);
    StatusOr<BatchRunner *> runner = runners.get(ProgramKind::Eval, rows);
    if (!runner)
      return std::unexpected(runner.error());
    std::iota(examples.begin(), examples.begin() + rows, view.first + first);
    if (Status started = runs.start(**runner, *view.dataset, std::span(examples).first(rows), rows);
        !started.ok())
      return std::unexpected(started);
  }
  if (Status finished = runs.finishAll(); !finished.ok())
    return std::unexpected(finished);
  const double count = static_cast<double>(std::max<int64_t>(result.examples, 1));
  result.loss /= count;
  for (auto &[name, sum] : result.metrics)
    sum /= count;
  return result;
}

} // namespace gradc
