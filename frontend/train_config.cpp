// "train" as plain values.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "frontend/model_source.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

class TrainReader {
public:
  TrainReader(const JsonDocument &document, const Graph &graph, Diagnostics &diag)
      : document_(document), graph_(graph), diag_(diag), train_(document.root.find("train")) {}

  TrainConfig read();

private:
  template <class... Args> void fail(const Json &at, fmt::format_string<Args...> format, Args &&...args) {
    (void)diag_.error(document_.loc(at), format, std::forward<Args>(args)...);
  }
  const Json *find(const Json *object, std::string_view key) const {
    return object ? object->find(key) : nullptr;
  }
  int64_t integer(const Json *object, std::string_view key, int64_t fallback) const {
    const Json *value = find(object, key);
    return value ? *value->integer() : fallback;
  }
  double number(const Json *object, std::string_view key, double fallback) const {
    const Json *value = find(object, key);
    return value ? value->number : fallback;
  }

  bool hasValidation() const {
    const Json *data = document_.root.find("data");
    return data && data->find("validation");
  }
  std::string monitor(const Json *object);
  std::vector<std::string> logKeys() const;
  Schedule schedule(const Json &json);
  void scheduled(std::string name, const Json &value, const Json *schedule);
  void readOptimizer();
  void readNodeSchedules();

  const JsonDocument &document_;
  const Graph &graph_;
  Diagnostics &diag_;
  const Json *train_;
  TrainConfig config_;
};

TrainConfig TrainReader::read() {
  config_.batchSize = integer(train_, "batch_size", config_.batchSize);
  config_.epochs = integer(train_, "epochs", config_.epochs);
  config_.seed = static_cast<uint64_t>(integer(train_, "seed", 0));
  if (const Json *shuffle = find(train_, "shuffle"))
    config_.shuffle = shuffle->boolean;
  bool isList = document_.root.find("loss") && document_.root.find("loss")->isArray();
  for (const GraphTerm &term : graph_.losses)
    if (isList)
      config_.metrics.push_back("loss." + term.use.name);
  for (const GraphTerm &term : graph_.metrics)
    config_.metrics.push_back(term.use.name);
  config_.monitor = monitor(train_);
  if (const Json *stop = find(train_, "stop")) {
    config_.stop.enabled = true;
    config_.stop.monitor = monitor(stop);
    config_.stop.patience = integer(stop, "patience", config_.stop.patience);
    config_.stop.minDelta = number(stop, "min_delta", config_.stop.minDelta);
  }
  readOptimizer();
  readNodeSchedules();
  return std::move(config_);
}

std::vector<std::string> TrainReader::logKeys() const {
  std::vector<std::string> keys;
  std::vector<std::string> names{"loss"};
  names.insert(names.end(), config_.metrics.begin(), config_.metrics.end());
  for (const std::string &name : names) {
    keys.push_back("train_" + name);
    if (hasValidation())
      keys.push_back("val_" + name);
  }
  return keys;
}

/// The object's "monitor": a key of the log, which has val_… only where there is validation data.
std::string TrainReader::monitor(const Json *object) {
  const Json *given = find(object, "monitor");
  if (!given)
    return hasValidation() ? "val_loss" : "train_loss";
  std::vector<std::string> keys = logKeys();
  std::string name = given->text == "loss" ? "train_loss" : given->text;
  if (std::ranges::find(keys, "train_" + name) != keys.end())
    name = "train_" + name;
  if (std::ranges::find(keys, name) == keys.end()) {
    std::vector<std::string_view> views(keys.begin(), keys.end());
    std::string hint = name.starts_with("val_") && !hasValidation() ? "; there is no validation data"
                                                                    : proposal(name, views);
    fail(*given, "'monitor' expects one of {}, but got {}{}", fmt::join(keys, ", "), describe(*given), hint);
  }
  return name;
}

Schedule TrainReader::schedule(const Json &json) {
  constexpr std::string_view kinds[] = {"constant", "step",       "milestones", "exponential",
                                        "cosine",   "polynomial", "one_cycle",  "plateau"};
  Schedule s;
  s.kind = static_cast<Schedule::Kind>(std::ranges::find(kinds, json.find("type")->text) - kinds);
  const Json *unit = json.find("unit");
  s.unit = unit && unit->text == "step" ? Schedule::Unit::Step : Schedule::Unit::Epoch;
  s.every = integer(&json, "every", s.every);
  s.factor = number(&json, "factor", s.factor);
  s.length = integer(&json, "length", s.length);
  s.power = number(&json, "power", s.power);
  s.min = number(&json, "min", s.min);
  s.max = number(&json, "max", s.max);
  s.patience = integer(&json, "patience", s.patience);
  s.minDelta = number(&json, "min_delta", s.minDelta);
  s.cooldown = integer(&json, "cooldown", s.cooldown);
  if (const Json *at = json.find("at")) {
    for (const Json &item : at->items)
      s.at.push_back(item.integer().value_or(-1));
    if (s.at.empty() || s.at[0] < 0 || !std::ranges::is_sorted(s.at, std::less_equal<>()))
      fail(*at, "'at' of milestones expects rising integers of at least 0");
  }
  if (const Json *warmup = json.find("warmup")) {
    s.warmupLength = integer(warmup, "length", 0);
    s.warmupFrom = number(warmup, "from", 0);
  }
  if (s.kind == Schedule::Kind::Plateau) {
    s.monitor = monitor(&json);
    if (s.unit == Schedule::Unit::Step)
      fail(*unit, "plateau counts epochs, but got \"step\"");
  }
  return s;
}

/// A number, or an object with a base value and a schedule.
void TrainReader::scheduled(std::string name, const Json &value, const Json *own) {
  HyperParameter hyper{.name = std::move(name)};
  if (value.isNumber()) {
    hyper.base = value.number;
    if (own)
      hyper.schedule = schedule(*own);
  } else {
    hyper.base = value.find("value")->number;
    hyper.schedule = schedule(value);
    if (own)
      fail(*own, "'{}' has a schedule of its own already", hyper.name);
  }
  config_.hyper.push_back(std::move(hyper));
}

void TrainReader::readOptimizer() {
  const Json *optimizer = find(train_, "optimizer");
  if (!optimizer)
    return;
  scheduled("learning_rate", *optimizer->find("learning_rate"), train_->find("schedule"));
  for (const char *key : {"momentum", "weight_decay"})
    if (const Json *value = optimizer->find(key); value && (!value->isNumber() || value->number != 0))
      scheduled(key, *value, nullptr);
  const Json *nesterov = optimizer->find("nesterov");
  if (nesterov && nesterov->boolean && !optimizerAttrs(document_).has("momentum"))
    fail(*nesterov, "'nesterov' needs 'momentum'");
}

/// Scheduled numbers of layers: dropout's rate.
void TrainReader::readNodeSchedules() {
  for (const GraphNode &node : graph_.nodes)
    for (const KeySpec &key : node.use.layer ? node.use.layer->spec.keys : std::vector<KeySpec>()) {
      if (key.choice != scheduledNumberUnion)
        continue;
      std::string name = fmt::format("{}.{}", node.use.name, key.name);
      if (const Json *value = node.use.json->find(key.name)) {
        scheduled(name, *value, nullptr);
        continue;
      }
      HyperParameter hyper{.name = name};
      std::from_chars(key.fallback.data(), key.fallback.data() + key.fallback.size(), hyper.base);
      config_.hyper.push_back(hyper);
    }
}

} // namespace

TrainConfig readTrainConfig(const JsonDocument &document, const Graph &graph, Diagnostics &diag) {
  return TrainReader(document, graph, diag).read();
}

Dict optimizerAttrs(const JsonDocument &document) {
  Dict attrs;
  const Json *train = document.root.find("train"), *optimizer = train ? train->find("optimizer") : nullptr;
  if (!optimizer)
    return attrs;
  auto value = [&](std::string_view key) {
    const Json *given = optimizer->find(key);
    return !given ? 0 : given->isNumber() ? given->number : given->find("value")->number;
  };
  attrs.set("type", Keyword{optimizer->find("type")->text});
  for (const char *key : {"momentum", "weight_decay"})
    if (const Json *given = optimizer->find(key); given && (!given->isNumber() || given->number != 0))
      attrs.set(key, value(key));
  if (const Json *nesterov = optimizer->find("nesterov"); nesterov && nesterov->boolean)
    attrs.set("nesterov", true);
  return attrs;
}

} // namespace gradc
