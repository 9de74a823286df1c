// The data sets that a model file names, loaded for a command.
#pragma once

#include <optional>
#include <string>

#include "runtime/data/dataset.h"
#include "support/model_facts.h"
#include "support/result.h"

namespace gradc {

/// The data that a command needs. Views refer into this object.
struct ModelData {
  std::optional<Dataset> train, validation, test;

  DatasetView trainView() const;
  DatasetView validationView() const;
  DatasetView testView() const;

  double validationSplit = 0;
};

struct DataNeeds {
  bool train = false, validation = false, test = false;
};
StatusOr<ModelData> loadModelData(const ModelFacts &model, const std::string &folder, DataNeeds needs);

} // namespace gradc
