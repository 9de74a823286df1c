#include "driver/session.h"

#include <charconv>
#include <cmath>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/io.h"

namespace gradc {

void addSessionFlags(CLI::App &command, SessionFlags &flags) {
  addModelFlags(command, flags.model);
  command.add_option("--threads", flags.threads, "Threads (default: the cores that this process may use)")
      ->envname("GRADC_THREADS")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  command.add_option("--device", flags.device, "cpu or cuda[:i]")->type_name("DEVICE");
  command.add_option("--mcpu", flags.mcpu, "Processor to make code for")->type_name("CPU");
  command.add_flag("--no-cache", flags.noCache, "Compile everything, keep nothing");
  addCompileFlags(command, flags.compile);
}

void addDataFlags(CLI::App &command, SessionFlags &flags) {
  command.add_option("--data", flags.data, "Folder of the data's files (default: the model file's)")
      ->type_name("DIR");
  command
      .add_option("--limit-batches", flags.limitBatches, "Only the first N batches of each pass over data")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->type_name("N");
  command.add_option("--progress", flags.progress, "auto, bar, plain, json or none")
      ->check(CLI::IsMember({"auto", "bar", "plain", "json", "none"}));
}

std::unique_ptr<Session> Session::open(const SessionFlags &flags, ExitCode &exit) {
  if (flags.device != "cpu") {
    exit = fail(
        {ExitCode::Device, fmt::format("device '{}' is not in this build, only 'cpu' is", flags.device)});
    return nullptr;
  }
  StatusOr<CpuTarget> target = parseCpuTarget(flags.mcpu);
  if (!target) {
    exit = fail(target.error());
    return nullptr;
  }
  std::optional<LoadedModel> model = loadModelFile(flags.model, exit);
  if (!model)
    return nullptr;
  std::unique_ptr<Session> session(new Session(std::move(*model), flags));
  session->target = *target;
  if (!flags.noCache)
    session->cache = ObjectCache::open(defaultCacheFolder());
  session->pool = std::make_unique<ThreadPool>(flags.threads);
  session->programs = std::make_unique<ModelPrograms>(
      session->model, flags.compile,
      CompileOptions{.target = *target,
                     .threads = std::min(session->pool->threads(), availableCores()),
                     .cache = session->cache ? &*session->cache : nullptr});
  return session;
}

std::string Session::dataFolder() const {
  if (!flags.data.empty())
    return flags.data;
  return std::filesystem::path(flags.model.file).parent_path().string();
}

StatusOr<VariableStore> Session::makeVariables(bool train) {
  std::vector<VariableSpec> specs = model.variables;
  if (train) {
    StatusOr<std::vector<VariableSpec>> slots = programs->slots(batchSize());
    if (!slots)
      return std::unexpected(slots.error());
    specs.insert(specs.end(), slots->begin(), slots->end());
  }
  return VariableStore::create(std::move(specs), *pool);
}

Status loadWeightsFile(VariableStore &variables, const std::string &path, bool partial) {
  StatusOr<SafeTensors> file = SafeTensors::read(path);
  return file ? variables.loadWeights(*file, path, partial) : file.error();
}

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

StatusOr<ModelData> loadModelData(const LoadedModel &model, const std::string &folder, DataNeeds needs) {
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

std::optional<double> parseSeconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error != std::errc{} || !(value > 0))
    return std::nullopt;
  for (const auto &[name, factor] :
       {std::pair{"", 1.0}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}, {"d", 86400.0}})
    if (unit == name)
      return value * factor;
  return std::nullopt;
}

} // namespace gradc
