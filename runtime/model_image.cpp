#include "runtime/model_image.h"

#include <map>
#include <optional>
#include <type_traits>

#include "support/json_value.h"

namespace gradc {
namespace {

// Each struct lists its fields once, for both directions.
template <class F> void fields(F &&f, Schedule &s) {
  f("kind", s.kind), f("unit", s.unit), f("every", s.every), f("at", s.at), f("factor", s.factor);
  f("length", s.length), f("power", s.power), f("min", s.min), f("max", s.max), f("monitor", s.monitor);
  f("patience", s.patience), f("min_delta", s.minDelta), f("cooldown", s.cooldown);
  f("warmup_length", s.warmupLength), f("warmup_from", s.warmupFrom);
}
template <class F> void fields(F &&f, HyperParameter &h) {
  f("name", h.name), f("base", h.base), f("schedule", h.schedule);
}
template <class F> void fields(F &&f, InitSpec &i) {
  f("kind", i.kind), f("a", i.a), f("b", i.b), f("fan_in", i.fanIn), f("fan_out", i.fanOut);
  f("values", i.values), f("file", i.file);
}
template <class F> void fields(F &&f, VariableSpec &v) {
  f("kind", v.kind), f("name", v.name), f("shape", v.shape), f("init", v.init), f("trainable", v.trainable);
}
template <class F> void fields(F &&f, StopRule &s) {
  f("enabled", s.enabled), f("monitor", s.monitor), f("patience", s.patience), f("min_delta", s.minDelta);
}
template <class F> void fields(F &&f, TrainConfig &t) {
  f("batch_size", t.batchSize), f("epochs", t.epochs), f("seed", t.seed), f("shuffle", t.shuffle);
  f("monitor", t.monitor), f("stop", t.stop), f("hyper", t.hyper), f("metrics", t.metrics);
}
template <class F> void fields(F &&f, DataSource &d) {
  f("kind", d.kind), f("files", d.files), f("fields", d.fields), f("examples", d.examples), f("size", d.size);
}
template <class F> void fields(F &&f, InputSpec &i) {
  f("name", i.name), f("shape", i.shape), f("dtype", i.dtype), f("field", i.field), f("classes", i.classes);
}
template <class F> void fields(F &&f, DataConfig &d) {
  f("train", d.train), f("validation", d.validation), f("test", d.test);
  f("validation_split", d.validationSplit), f("inputs", d.inputs), f("class_names", d.classNames);
}
template <class F> void fields(F &&f, ModelFacts &m) {
  f("name", m.name), f("has_loss", m.hasLoss), f("train", m.train), f("data", m.data);
  f("variables", m.variables);
}
template <class F> void fields(F &&f, ModelImage &m) {
  f("facts", m.facts), f("slots", m.slots), f("identity", m.identity), f("summary", m.summary);
  f("weights_file", m.weightsFile);
}

template <class T> constexpr bool isVector = false;
template <class T> constexpr bool isVector<std::vector<T>> = true;
template <class T> constexpr bool isMap = false;
template <class T> constexpr bool isMap<std::map<std::string, T>> = true;

template <class T> std::string save(T &value) {
  if constexpr (std::is_enum_v<T>) {
    return jsonText(static_cast<int>(value));
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    return jsonText(value);
  } else if constexpr (isVector<T>) {
    std::vector<std::string> list;
    for (auto &item : value)
      list.push_back(save(item));
    return jsonArray(list);
  } else {
    JsonObject object;
    if constexpr (isMap<T>)
      for (auto &[key, item] : value)
        object.addText(key, save(item));
    else
      fields([&](const char *name, auto &field) { object.addText(name, save(field)); }, value);
    return object.text();
  }
}

/// Reads values and remembers whether all were there and of their kind.
struct Loader {
  using Kind = JsonValue::Kind;
  bool good = true;

  template <class T> void load(const JsonValue &json, T &value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(taken(json.integer()));
    } else if constexpr (std::is_same_v<T, bool>) {
      check(json.is(Kind::Bool));
      value = json.boolean;
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      value = taken(json.natural());
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(taken(json.integer()));
    } else if constexpr (std::is_floating_point_v<T>) {
      check(json.is(Kind::Number));
      value = static_cast<T>(json.number());
    } else if constexpr (std::is_same_v<T, std::string>) {
      check(json.is(Kind::String));
      value = json.text;
    } else if constexpr (isVector<T>) {
      check(json.is(Kind::Array));
      for (const JsonValue &item : json.items)
        load(item, value.emplace_back());
    } else if constexpr (isMap<T>) {
      check(json.is(Kind::Object));
      for (size_t i = 0; i < json.names.size(); ++i)
        load(json.items[i], value[json.names[i]]);
    } else {
      fields([&](const char *name, auto &field) { load(member(json, name), field); }, value);
    }
  }

private:
  void check(bool condition) { good = good && condition; }
  template <class T> T taken(const std::optional<T> &value) {
    check(value.has_value());
    return value.value_or(0);
  }
  const JsonValue &member(const JsonValue &json, const char *name) {
    static const JsonValue none;
    const JsonValue *found = json.find(name);
    check(found);
    return found ? *found : none;
  }
};

} // namespace

std::string toJson(const ModelImage &image) {
  ModelImage copy = image; // the lists of fields serve reading too
  return save(copy);
}

StatusOr<ModelImage> parseModelImage(std::string_view text) {
  const auto json = parseJsonValue(text);
  ModelImage image;
  Loader loader;
  if (json)
    loader.load(*json, image);
  if (!json || !loader.good)
    return failure(ExitCode::Internal, "the description of the model in this executable is damaged");
  return image;
}

} // namespace gradc
