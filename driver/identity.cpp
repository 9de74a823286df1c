#include "driver/identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/text.h"

namespace gradc {
namespace {

std::string hyperLine(const HyperParameter &h) {
  const Schedule &s = h.schedule;
  return fmt::format(
      "{} {} schedule {} unit {} every {} at [{}] factor {} length {} power {} min {} max {} monitor {} "
      "patience {} min_delta {} cooldown {} warmup {} from {}\n",
      h.name, h.base, static_cast<int>(s.kind), static_cast<int>(s.unit), s.every, fmt::join(s.at, ","),
      s.factor, s.length, s.power, s.min, s.max, s.monitor, s.patience, s.minDelta, s.cooldown,
      s.warmupLength, s.warmupFrom);
}

} // namespace

StatusOr<std::string> modelIdentity(const LoadedModel &model, Precision precision) {
  Diagnostics diag, whyNotEven;
  Result<Module> module = model.instantiate(model.train.batchSize, diag);
  if (!module) // for that batch the model can be used, not trained
    module = model.instantiate(model.train.batchSize, whyNotEven, Purpose::Inference);
  if (!module)
    return failure(ExitCode::InvalidInput, whyNotEven.all().front().message);
  std::string text = print(*module);
  const TrainConfig &train = model.train;
  for (const HyperParameter &hyper : train.hyper)
    text += hyperLine(hyper);
  text += fmt::format("best by {}, stop {} by {} patience {} min_delta {}, validation split {}\n",
                      train.monitor, train.stop.enabled, train.stop.monitor, train.stop.patience,
                      train.stop.minDelta, model.data.validationSplit);
  return text + fmt::format("precision {}\n", precisionName(precision));
}

ModelFacts factsOf(const LoadedModel &model) {
  return {model.name, model.hasLoss, model.train, model.data, model.variables};
}

std::string modelSummary(const LoadedModel &model) {
  std::string text;
  int64_t total = 0;
  for (const NodeSummary &node : model.nodes) {
    text += fmt::format("{:<16} {:<14} {:<24} {:>10}\n", node.name, node.op, toString(node.type),
                        node.parameters);
    total += node.parameters;
  }
  return text + fmt::format("{} parameters\n", total);
}

} // namespace gradc
