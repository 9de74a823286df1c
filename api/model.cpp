#include <filesystem>

#include "api/module.h"
#include "api/values.h"
#include "driver/session.h"
#include "runtime/commands/commands.h"
#include "support/files.h"

namespace gradc::api {

struct Model::Impl {
  LoadedModel model;
  SessionFlags flags;
};

struct Predictor::Impl {
  std::unique_ptr<Session> session;
  VariableStore variables;
  std::optional<Runners> runners;
  std::vector<Port> inputs, outputs;
  std::mutex mutex;
};

namespace {

SessionFlags sessionFlags(const std::string &file, const ModelOptions &options) {
  SessionFlags flags;
  flags.model.file = file;
  flags.data = options.data;
  flags.threads = options.threads;
  flags.progress = "none";
  return flags;
}

Step stepOf(const StepRecord &r) {
  return {r.epoch, r.epochs, r.batch, r.batches, r.step, r.loss, r.learningRate, r.examplesPerSecond};
}

Epoch epochOf(const EpochRecord &r) {
  return {r.epoch, r.epochs, r.step, r.values, r.learningRate, r.seconds, r.best};
}

TrainFlags trainFlags(const TrainOptions &options) {
  TrainFlags flags;
  flags.out = options.out;
  flags.weights = options.weights;
  flags.resume = options.resume ? "auto" : "";
  flags.epochs = options.epochs;
  flags.hooks.signals = false;
  if (options.onStep)
    flags.hooks.step = [&](const StepRecord &record) { return options.onStep(stepOf(record)); };
  if (options.onEpoch)
    flags.hooks.epoch = [&](const EpochRecord &record) { return options.onEpoch(epochOf(record)); };
  return flags;
}

Port portOf(const gradc_port &port) {
  Port result{port.name, static_cast<ElementType>(port.dtype), {port.shape, port.shape + port.rank}};
  if (!result.shape.empty())
    result.shape[0] = -1;
  return result;
}

Tensor resultOf(const BatchRunner &runner, const gradc_port &port) {
  Tensor tensor{static_cast<ElementType>(port.dtype), {port.shape, port.shape + port.rank}, {}};
  const auto *bytes = static_cast<const std::byte *>(runner.result(port.name));
  tensor.bytes.assign(bytes, bytes + port.bytes);
  return tensor;
}

} // namespace

Expected<Model> Model::read(const std::string &file, const ModelOptions &options) {
  StatusOr<std::string> text = readFile(file);
  return text ? parse(std::move(*text), file, options) : failed(text.error());
}

Expected<Model> Model::parse(std::string text, std::string name, const ModelOptions &options) {
  Diagnostics diagnostics;
  const ModelOverrides overrides{
      .set = options.set, .trained = {}, .batchSize = options.batchSize, .seed = options.seed};
  SessionFlags flags = sessionFlags(name, options);
  Result<LoadedModel> model = loadModel(std::move(text), std::move(name), overrides, diagnostics);
  if (!model)
    return failed(diagnostics);
  return Model(std::make_shared<const Impl>(Impl{std::move(*model), std::move(flags)}));
}

const std::string &Model::name() const { return impl_->model.name; }
std::string Model::summary() const { return modelSummary(impl_->model); }

Expected<Module> Model::module(int64_t batch) const {
  Diagnostics diagnostics;
  Result<::gradc::Module> module =
      impl_->model.instantiate(batch == 0 ? impl_->model.train.batchSize : batch, diagnostics);
  if (!module)
    return failed(diagnostics);
  return wrap(std::move(*module));
}

Expected<Trained> Model::train(const TrainOptions &options) const {
  SessionFlags flags = impl_->flags;
  flags.limitBatches = options.limitBatches;
  const StatusOr<std::unique_ptr<Session>> session = Session::make(flags, impl_->model);
  if (!session)
    return failed(session.error());
  StatusOr<TrainReport> report = trainModel(**session, trainFlags(options), std::chrono::steady_clock::now());
  if (!report)
    return failed(report.error());
  Trained trained{report->result.epoch,
                  report->result.step,
                  report->result.code == ExitCode::Stopped,
                  std::move(report->result.last),
                  {}};
  if (report->test) {
    trained.test = std::move(report->test->metrics);
    trained.test.insert(trained.test.begin(), {"loss", report->test->loss});
  }
  return trained;
}

Expected<Predictor> Model::predictor(const std::string &weights) const {
  StatusOr<std::unique_ptr<Session>> session = Session::make(impl_->flags, impl_->model);
  if (!session)
    return failed(session.error());
  StatusOr<VariableStore> variables = loadVariables(**session, weights, false);
  if (!variables)
    return failed(variables.error());
  auto impl = std::make_shared<Predictor::Impl>();
  impl->session = std::move(*session);
  impl->variables = std::move(*variables);
  Session &host = *impl->session;
  impl->runners.emplace(host.programs(), host.device(), impl->variables, host.facts().data.inputs);
  StatusOr<BatchRunner *> runner = impl->runners->get(ProgramKind::Infer, 1);
  if (!runner)
    return failed(runner.error());
  const gradc_program &program = (*runner)->program();
  for (int64_t i = 0; i < program.num_args; ++i)
    impl->inputs.push_back(portOf(program.args[i]));
  for (int64_t i = 0; i < program.num_results; ++i)
    impl->outputs.push_back(portOf(program.results[i]));
  return Predictor(std::move(impl));
}

const std::vector<Port> &Predictor::inputs() const { return impl_->inputs; }
const std::vector<Port> &Predictor::outputs() const { return impl_->outputs; }

Expected<std::vector<Tensor>> Predictor::run(std::span<const Tensor> inputs) const {
  if (inputs.size() != impl_->inputs.size())
    return failed(fmt::format("{} inputs are needed, but got {}", impl_->inputs.size(), inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (Expected<void> good = check(inputs[i], impl_->inputs[i]); !good)
      return std::unexpected(good.error());
    if (inputs[i].shape[0] != inputs[0].shape[0])
      return failed(fmt::format("'{}' has {} examples, but '{}' has {}", impl_->inputs[0].name,
                                inputs[0].shape[0], impl_->inputs[i].name, inputs[i].shape[0]));
  }
  const std::lock_guard lock(impl_->mutex);
  StatusOr<BatchRunner *> found = impl_->runners->get(ProgramKind::Infer, inputs[0].shape[0]);
  if (!found)
    return failed(found.error());
  BatchRunner &runner = **found;
  for (size_t i = 0; i < inputs.size(); ++i)
    std::memcpy(runner.argument(impl_->inputs[i].name), inputs[i].bytes.data(), inputs[i].bytes.size());
  if (Status ran = runner.run(); !ran.ok())
    return failed(ran);
  std::vector<Tensor> results;
  const gradc_program &program = runner.program();
  for (int64_t i = 0; i < program.num_results; ++i)
    results.push_back(resultOf(runner, program.results[i]));
  return results;
}

} // namespace gradc::api
