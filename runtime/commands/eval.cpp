// eval: loss and metrics of given weights on data.
#include <future>

#include <fmt/format.h>

#include "runtime/commands/commands.h"
#include "runtime/commands/model_data.h"
#include "runtime/evaluate.h"
#include "support/json_value.h"
#include "support/say.h"

namespace gradc {
namespace {

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
    say("loss: {:.4f}\n", result.loss);
    for (const auto &[name, value] : result.metrics)
      say("{}: {:.4f}\n", name, value);
    say("examples: {}\n", result.examples);
    return;
  }
  JsonObject object;
  object.add("loss", result.loss);
  for (const auto &[name, value] : result.metrics)
    object.add(name, value);
  say("{}\n", object.add("examples", result.examples).text());
}

} // namespace

Status evaluateModel(Host &host, const EvalFlags &flags) {
  const DataNeeds needs = {.train = flags.split == "train",
                           .validation = flags.split == "validation",
                           .test = flags.split == "test"};
  host.programs().prefetch(ProgramKind::Eval, host.facts().train.batchSize);
  std::future<StatusOr<ModelData>> loading =
      std::async(std::launch::async, [&] { return loadModelData(host.facts(), host.dataFolder(), needs); });
  StatusOr<VariableStore> variables = loadVariables(host, flags.weights, flags.weightsPartial);
  StatusOr<ModelData> data = loading.get();
  if (!variables)
    return variables.error();
  if (!data)
    return data.error();
  StatusOr<DatasetView> view = chooseView(flags, *data);
  if (!view)
    return view.error();
  if (Status known = checkBatches(host, {{ProgramKind::Eval, view->count}}); !known.ok())
    return known;
  Runners runners(host.programs(), host.device(), *variables, host.facts().data.inputs);
  StatusOr<EvalResult> result = evaluate(runners, *view, host.facts().train.batchSize,
                                         host.hostFlags().limitBatches, host.facts().train.metrics);
  if (!result)
    return result.error();
  print(*result, flags.json);
  return okStatus();
}

} // namespace gradc
