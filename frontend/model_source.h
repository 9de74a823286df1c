// What a LoadedModel keeps to build modules from. Private to the frontend.
#pragma once

#include <optional>

#include "frontend/function_builder.h"
#include "frontend/graph.h"
#include "frontend/json.h"
#include "frontend/model.h"
#include "frontend/parameters.h"

namespace gradc {

struct ModelSource {
  JsonDocument document;
  Graph graph;
  ParameterRules rules;
  std::optional<Normalization> normalization;
};

/// Builds the functions for the purpose; `nodes` gets the summary where it is not null.
Result<Module> buildModule(const ModelSource &source, int64_t batch, Purpose purpose, Diagnostics &diag,
                           std::vector<NodeSummary> *nodes);

/// The module's attribute {type = sgd, momentum = 0.9, …}: what the optimizer pass needs.
Dict optimizerAttrs(const JsonDocument &document);
TrainConfig readTrainConfig(const JsonDocument &document, const Graph &graph, Diagnostics &diag);
/// Which input "normalize" means, and with what.
std::optional<Normalization> readNormalization(const JsonDocument &document, const Graph &graph,
                                               Diagnostics &diag);
/// `module` tells how many classes labels have.
DataConfig readDataConfig(const JsonDocument &document, const Graph &graph, const Module &module,
                          Diagnostics &diag);

} // namespace gradc
