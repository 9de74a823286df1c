#include "runtime/commands/model_data.h"

#include <cmath>

namespace gradc {

DatasetView ModelData::trainView() const {
  if (!train)
    return {};
  const auto held = static_cast<int64_t>(std::floor(validationSplit * static_cast<double>(train->examples)));
  return {&*train, 0, train->examples - held};
}

DatasetView ModelData::validationView() const {
  if (validation)
    return {&*validation, 0, validation->examples};
  const DatasetView used = trainView();
  return train && used.count < train->examples
             ? DatasetView{&*train, used.count, train->examples - used.count}
             : DatasetView{};
}

DatasetView ModelData::testView() const {
  return test ? DatasetView{&*test, 0, test->examples} : DatasetView{};
}

StatusOr<ModelData> loadModelData(const ModelFacts &model, const std::string &folder, DataNeeds needs) {
  const DataConfig &config = model.data;
  ModelData data{.validationSplit = config.validationSplit};
  const bool split = config.validation.kind == DataSource::Kind::None && config.validationSplit > 0;
  const auto load = [&](const DataSource &source, std::optional<Dataset> &into) -> Status {
    StatusOr<Dataset> dataset = loadDataset(source, config.inputs, folder, model.train.seed);
    if (!dataset)
      return dataset.error();
    into = std::move(*dataset);
    return okStatus();
  };
  Status status;
  if (needs.train || (needs.validation && split))
    status = load(config.train, data.train);
  if (status.ok() && needs.validation && config.validation.kind != DataSource::Kind::None)
    status = load(config.validation, data.validation);
  if (status.ok() && needs.test && config.test.kind != DataSource::Kind::None)
    status = load(config.test, data.test);
  if (!status.ok())
    return std::unexpected(status);
  return data;
}

} // namespace gradc
