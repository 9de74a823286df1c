// Loss and metrics over a data set, by the program @eval, which returns sums over its batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/programs.h"
#include "runtime/records.h"

namespace gradc {

struct EvalResult {
  double loss = 0;
  NamedValues metrics; // means over the examples, named as asked
  int64_t examples = 0;
};

/// Goes through the view in its order, the last batch at its own size. `limitBatches` 0 means all.
StatusOr<EvalResult> evaluate(Runners &runners, const DatasetView &view, int64_t batchSize,
                              int64_t limitBatches, std::span<const std::string> metrics);

/// Number of batches that an epoch over this many examples has.
int64_t batchCount(int64_t examples, int64_t batchSize, int64_t limitBatches);
/// The sizes of those batches, each once.
std::vector<int64_t> batchSizes(int64_t examples, int64_t batchSize, int64_t limitBatches);

} // namespace gradc
