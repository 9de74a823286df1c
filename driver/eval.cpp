// gradc eval: loss and metrics of given weights on data.
#include <future>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "driver/commands.h"
#include "driver/session.h"
#include "runtime/evaluate.h"

namespace gradc {
namespace {

struct EvalFlags {
  SessionFlags session;
  std::string weights, split = "test";
  bool weightsPartial = false, json = false;
};

StatusOr<DatasetView> chooseView(const EvalFlags &flags, const ModelData &data) {
  const DatasetView view = flags.split == "train"        ? data.trainView()
                           : flags.split == "validation" ? data.validationView()
                                                         : data.testView();
  if (view.count == 0)
    return ioFailure(fmt::format("the model file has no {} data", flags.split));
  return view;
}

void print(const EvalResult &result, bool json) {
  if (!json) {
    fmt::print("loss: {:.4f}\n", result.loss);
    for (const auto &[name, value] : result.metrics)
      fmt::print("{}: {:.4f}\n", name, value);
    fmt::print("examples: {}\n", result.examples);
    return;
  }
  nlohmann::ordered_json object = {{"loss", result.loss}};
  for (const auto &[name, value] : result.metrics)
    object[name] = value;
  object["examples"] = result.examples;
  fmt::print("{}\n", object.dump());
}

Status evaluateModel(const EvalFlags &flags, Session &session) {
  const DataNeeds needs = {.train = flags.split == "train",
                           .validation = flags.split == "validation",
                           .test = flags.split == "test"};
  session.programs->prefetch(ProgramKind::Eval, session.batchSize());
  std::future<StatusOr<ModelData>> loading = std::async(
      std::launch::async, [&] { return loadModelData(session.model, session.dataFolder(), needs); });
  StatusOr<VariableStore> variables = session.makeVariables(false);
  Status status;
  if (variables)
    status = loadWeightsFile(*variables, flags.weights, flags.weightsPartial);
  StatusOr<ModelData> data = loading.get();
  if (!variables)
    return variables.error();
  if (!status.ok())
    return status;
  if (!data)
    return data.error();
  StatusOr<DatasetView> view = chooseView(flags, *data);
  if (!view)
    return view.error();
  Runners runners(*session.programs, *session.pool, session.workspace, *variables, session.model.data.inputs);
  StatusOr<EvalResult> result =
      evaluate(runners, *view, session.batchSize(), session.flags.limitBatches, session.model.train.metrics);
  if (!result)
    return result.error();
  print(*result, flags.json);
  return okStatus();
}

ExitCode runEval(const EvalFlags &flags) {
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  const Status status = evaluateModel(flags, *session);
  return status.ok() ? ExitCode::Ok : fail(status);
}

} // namespace

void registerEval(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App *command = app.add_subcommand("eval", "Loss and metrics of given weights on the test data");
  addSessionFlags(*command, flags->session);
  addDataFlags(*command, flags->session);
  command->add_option("--weights", flags->weights, "A safetensors file")->required()->type_name("FILE");
  command->add_flag("--weights-partial", flags->weightsPartial,
                    "Take what fits of --weights; the rest is zero");
  command->add_option("--split", flags->split, "train, validation or test")
      ->check(CLI::IsMember({"train", "validation", "test"}));
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->callback([flags, &exit] { exit = runEval(*flags); });
}

} // namespace gradc
