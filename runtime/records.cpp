#include "runtime/records.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace gradc {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string line(const Json &object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

} // namespace

std::string toJson(const StepRecord &record) {
  return line({{"kind", "step"},
               {"epoch", record.epoch},
               {"step", record.step},
               {"loss", number(record.loss)},
               {"learning_rate", number(record.learningRate)},
               {"examples_per_second", number(std::round(record.examplesPerSecond))}});
}

std::string toJson(const EpochRecord &record) {
  Json object = {{"kind", "epoch"}, {"epoch", record.epoch}, {"step", record.step}};
  for (const auto &[name, value] : record.values)
    object[name] = number(value);
  object["learning_rate"] = number(record.learningRate);
  object["seconds"] = number(record.seconds);
  object["examples_per_second"] = number(std::round(record.examplesPerSecond));
  object["best"] = record.best;
  return line(object);
}

std::optional<EpochRecord> parseEpoch(const std::string &text) {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("kind") || object["kind"] != "epoch")
    return std::nullopt;
  EpochRecord record;
  for (const auto &[key, value] : object.items()) {
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (key == "epoch")
      record.epoch = static_cast<int64_t>(number);
    else if (key == "step")
      record.step = static_cast<int64_t>(number);
    else if (key == "learning_rate")
      record.learningRate = number;
    else if (key == "seconds")
      record.seconds = number;
    else if (key == "examples_per_second")
      record.examplesPerSecond = number;
    else if (key == "best")
      record.best = value.is_boolean() && value.get<bool>();
    else if (key != "kind")
      record.values.emplace_back(key, number);
  }
  return record;
}

std::string eventJson(const std::string &event, int64_t step, const std::string &text) {
  return line({{"kind", "event"}, {"event", event}, {"step", step}, {"text", text}});
}

std::string firstStepJson(int64_t step, double seconds, double dataSeconds) {
  return line({{"kind", "event"},
               {"event", "first_step"},
               {"step", step},
               {"seconds", number(seconds)},
               {"data_seconds", number(dataSeconds)}});
}

} // namespace gradc
