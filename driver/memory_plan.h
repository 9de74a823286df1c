// How much memory a training run will take, to the byte, before it is run.
#pragma once

#include <string>
#include <vector>

#include "codegen/cpu/target.h"
#include "driver/load_model.h"
#include "support/diagnostics.h"

namespace gradc {

struct MemoryPlan {
  int64_t parameters = 0;          // and buffers
  int64_t slots = 0;               // state of the optimizer
  int64_t arena = 0;               // intermediate values of a training step
  int64_t scratch = 0;             // of each thread
  int64_t batch = 0;               // arguments and results of a training step
  std::vector<std::string> packed; // variables that lie in n16

  int64_t variables() const { return parameters + slots; }
};

/// Of the training step for the model's batch size; the reader has found the model fit to be trained.
Result<MemoryPlan> planTrainingMemory(const LoadedModel &model, const CpuTarget &target, Diagnostics &diag);

} // namespace gradc
