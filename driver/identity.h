// What a run says about its model to files that outlive it.
#pragma once

#include <string>

#include "frontend/model.h"
#include "passes/pipeline.h"
#include "support/model_facts.h"
#include "support/result.h"

namespace gradc {

/// The model and its training as text, one fact a line: the IR of its functions, its schedules, its data. Two runs
/// with equal texts compute the same.
StatusOr<std::string> modelIdentity(const LoadedModel &model, Precision precision);

/// The model without its network, as the runtime sees it.
ModelFacts factsOf(const LoadedModel &model);

/// Nodes, shapes and parameters as a table.
std::string modelSummary(const LoadedModel &model);

} // namespace gradc
