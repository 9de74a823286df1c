#include "runtime/model_image.h"

#include <map>
#include <optional>
#include <type_traits>

#include <nlohmann/json.hpp>

namespace gradc {
namespace {

using Json = nlohmann::ordered_json; // as in records.cpp: one instance of the library

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

template <class T> Json save(T &value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<int>(value);
  } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (isVector<T>) {
    Json list = Json::array();
    for (auto &item : value)
      list.push_back(save(item));
    return list;
  } else if constexpr (isMap<T>) {
    Json object = Json::object();
    for (auto &[key, item] : value)
      object[key] = save(item);
    return object;
  } else {
    Json object = Json::object();
    fields([&](const char *name, auto &field) { object[name] = save(field); }, value);
    return object;
  }
}

/// Reads values and remembers whether all were there and of their kind.
struct Loader {
  bool good = true;

  template <class T> void load(const Json &json, T &value) {
    if constexpr (std::is_enum_v<T>) {
      int number = 0;
      load(json, number);
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (check(json.is_boolean()))
        value = json.get<bool>();
    } else if constexpr (std::is_arithmetic_v<T>) {
      if (check(json.is_number()))
        value = json.get<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (check(json.is_string()))
        value = json.get_ref<const std::string &>();
    } else if constexpr (isVector<T>) {
      if (check(json.is_array()))
        for (const Json &item : json)
          load(item, value.emplace_back());
    } else if constexpr (isMap<T>) {
      if (check(json.is_object()))
        for (auto it = json.begin(); it != json.end(); ++it)
          load(it.value(), value[it.key()]);
    } else if (check(json.is_object())) {
      fields(
          [&](const char *name, auto &field) {
            const auto it = json.find(name);
            if (check(it != json.end()))
              load(*it, field);
          },
          value);
    }
  }

private:
  bool check(bool condition) {
    good = good && condition;
    return condition;
  }
};

} // namespace

std::string toJson(const ModelImage &image) {
  ModelImage copy = image; // the lists of fields serve reading too
  return save(copy).dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<ModelImage> parseModelImage(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  ModelImage image;
  Loader loader;
  loader.load(json, image);
  if (!loader.good)
    return failure(ExitCode::Internal, "the description of the model in this executable is damaged");
  return image;
}

} // namespace gradc
