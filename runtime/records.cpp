#include "runtime/records.h"

#include <cmath>

#include "support/json_value.h"

namespace gradc {
std::string toJson(const StepRecord &record) {
  return JsonObject()
      .add("kind", "step")
      .add("epoch", record.epoch)
      .add("step", record.step)
      .add("loss", record.loss)
      .add("learning_rate", record.learningRate)
      .add("examples_per_second", std::round(record.examplesPerSecond))
      .text();
}

std::string toJson(const EpochRecord &record) {
  JsonObject object;
  object.add("kind", "epoch").add("epoch", record.epoch).add("step", record.step);
  for (const auto &[name, value] : record.values)
    object.add(name, value);
  return object.add("learning_rate", record.learningRate)
      .add("seconds", record.seconds)
      .add("examples_per_second", std::round(record.examplesPerSecond))
      .add("best", record.best)
      .text();
}

std::optional<EpochRecord> parseEpoch(const std::string &text) {
  const auto object = parseJsonValue(text);
  const JsonValue *kind = object ? object->find("kind") : nullptr;
  if (!kind || !kind->isString("epoch"))
    return std::nullopt;
  EpochRecord record;
  for (size_t i = 0; i < object->items.size(); ++i) {
    const std::string &key = object->names[i];
    const JsonValue &value = object->items[i];
    const double number = value.number();
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
      record.best = value.boolean;
    else if (key != "kind")
      record.values.emplace_back(key, number);
  }
  return record;
}

std::string eventJson(const std::string &event, int64_t step, const std::string &text) {
  return JsonObject().add("kind", "event").add("event", event).add("step", step).add("text", text).text();
}

std::string firstStepJson(int64_t step, double seconds, double dataSeconds) {
  return JsonObject()
      .add("kind", "event")
      .add("event", "first_step")
      .add("step", step)
      .add("seconds", seconds)
      .add("data_seconds", dataSeconds)
      .text();
}

} // namespace gradc
