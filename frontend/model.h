// A model file, read: `instantiate` gives the IR of the network for a batch size, the rest is what the runtime
// has to know to train it. docs/model-file.md describes the format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frontend/parameters.h"
#include "ir/ir.h"
#include "support/config.h"
#include "support/diagnostics.h"
#include "support/result.h"

namespace gradc {

struct ModelSource; // document and graph

/// A line of the summary of a model.
struct NodeSummary {
  std::string name, op;
  Type type;              // of the node's first result
  int64_t parameters = 0; // elements of the parameters that it owns
  double flops = 0;       // of one inference of the batch: a multiplication and an addition count as two
};

/// What a module is for. A batch may be too small to train: batch_norm of [N, channels] has no variance of one example.
enum class Purpose : uint8_t { Training, Inference };

struct LoadedModel {
  std::string name;
  bool hasLoss = false;
  TrainConfig train;
  DataConfig data;
  std::vector<VariableSpec> variables; // in the order of the module's declarations
  std::vector<NodeSummary> nodes;      // at train.batchSize

  /// The module for a batch size, with
  ///   @infer(params, inputs) -> outputs {output = "name"}, where the model has outputs;
  ///   @eval(params, inputs) -> sums over the batch: loss {loss}, metrics {metric = "name"}, number of examples {count};
  ///   @loss(params, inputs, hyper…, %seed, %step, %row0) -> means: loss {loss}, metrics {metric = "name"}, in
  ///   training mode, where the model has a loss and the purpose is training.
  /// It cannot fail for the file's own batch size; for another only where the file has that size written into a shape,
  /// or where it is too small to train.
  Result<Module> instantiate(int64_t batch, Diagnostics &diag, Purpose purpose = Purpose::Training) const;

  std::shared_ptr<const ModelSource> source;
};

/// What the command line says instead of the file.
struct ModelOverrides {
  std::vector<std::string> set;     // --set /json/pointer=value
  TrainedParameters trained;        // --only, --freeze
  std::optional<int64_t> batchSize; // --batch
  std::optional<uint64_t> seed;     // --seed
};

/// Reads and checks a whole model file; every error that can be found without data is reported. `file` names
/// the text in messages.
Result<LoadedModel> loadModel(std::string text, std::string file, const ModelOverrides &overrides,
                              Diagnostics &diag);

} // namespace gradc
