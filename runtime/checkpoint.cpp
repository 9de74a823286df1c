#include "runtime/checkpoint.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "support/hash.h"
#include "support/json_value.h"

namespace gradc {
namespace {

constexpr std::string_view kVersion = "gradc-checkpoint/1";
constexpr const char *kVersionKey = "version", *kStateKey = "state", *kChecksumKey = "checksum";

// Doubles travel as their bits: exact, and infinities and NaN have no other form in JSON.
std::string bits(double value) { return hex(std::bit_cast<uint64_t>(value)); }

std::optional<uint64_t> parseBits(const JsonValue &value) {
  uint64_t result = 0;
  const char *end = value.text.data() + value.text.size();
  if (!value.is(JsonValue::Kind::String) || value.text.size() != 16)
    return std::nullopt;
  const auto [stop, error] = std::from_chars(value.text.data(), end, result, 16);
  return error == std::errc() && stop == end ? std::optional(result) : std::nullopt;
}

/// Reads members of a JSON object; remembers whether anything was missing or of another type.
class Reader {
public:
  explicit Reader(const JsonValue &object) : object_(object) {}

  void read(const char *key, int64_t &out) {
    const JsonValue *value = find(key);
    take(value ? value->integer() : std::nullopt, out);
  }
  void read(const char *key, bool &out) {
    const JsonValue *value = find(key, JsonValue::Kind::Bool);
    take(value ? std::optional(value->boolean) : std::nullopt, out);
  }
  void read(const char *key, std::string &out) {
    const JsonValue *value = find(key, JsonValue::Kind::String);
    take(value ? std::optional(value->text) : std::nullopt, out);
  }
  void read(const char *key, uint64_t &out) {
    const JsonValue *value = find(key);
    take(value ? parseBits(*value) : std::nullopt, out);
  }
  void read(const char *key, double &out) {
    uint64_t bits = 0;
    read(key, bits);
    out = std::bit_cast<double>(bits);
  }
  /// A member of this kind; null where there is none.
  const JsonValue *find(const char *key, JsonValue::Kind kind) {
    const JsonValue *value = find(key);
    ok_ = ok_ && value && value->is(kind);
    return ok_ ? value : nullptr;
  }
  bool ok() const { return ok_; }

private:
  const JsonValue *find(const char *key) const { return object_.find(key); }
  template <class T> void take(const std::optional<T> &value, T &out) {
    ok_ = ok_ && value;
    if (value)
      out = *value;
  }

  const JsonValue &object_;
  bool ok_ = true;
};

std::string toJson(const BestTracker &best) {
  return JsonObject()
      .add("monitor", best.monitor)
      .add("min_delta", bits(best.minDelta))
      .add("best", bits(best.best))
      .add("best_epoch", best.bestEpoch)
      .add("bad_epochs", best.badEpochs)
      .text();
}

bool fromJson(const JsonValue *value, BestTracker &best) {
  if (!value)
    return false;
  Reader reader(*value);
  reader.read("monitor", best.monitor);
  reader.read("min_delta", best.minDelta);
  reader.read("best", best.best);
  reader.read("best_epoch", best.bestEpoch);
  reader.read("bad_epochs", best.badEpochs);
  return reader.ok();
}

std::string toJson(const TrainState &state) {
  JsonObject schedules;
  for (const auto &[name, s] : state.schedules)
    schedules.addText(name, JsonObject()
                                .add("current", bits(s.current))
                                .add("best", bits(s.best))
                                .add("bad_epochs", s.badEpochs)
                                .add("cooldown", s.cooldown)
                                .add("has_best", s.hasBest)
                                .text());
  std::vector<std::string> sums;
  for (double sum : state.sums)
    sums.push_back(bits(sum));
  return JsonObject()
      .add("identity", state.identity)
      .add("data", hex(state.dataFingerprint))
      .add("epoch", state.epoch)
      .add("batch", state.batch)
      .add("step", state.step)
      .add("examples", state.examples)
      .add("sums", sums)
      .add("seconds", bits(state.seconds))
      .add("stopped", state.stopped)
      .addText("schedules", schedules.text())
      .addText("best", toJson(state.best))
      .addText("stop", toJson(state.stop))
      .text();
}

bool readSchedules(const JsonValue &object, TrainState &state) {
  bool ok = true;
  for (size_t i = 0; i < object.items.size(); ++i) {
    Reader each(object.items[i]);
    ScheduledValue::State &s = state.schedules[object.names[i]];
    each.read("current", s.current);
    each.read("best", s.best);
    each.read("bad_epochs", s.badEpochs);
    each.read("cooldown", s.cooldown);
    each.read("has_best", s.hasBest);
    ok = ok && each.ok();
  }
  return ok;
}

bool fromJson(const JsonValue &value, TrainState &state) {
  using Kind = JsonValue::Kind;
  Reader reader(value);
  reader.read("identity", state.identity);
  reader.read("data", state.dataFingerprint);
  reader.read("epoch", state.epoch);
  reader.read("batch", state.batch);
  reader.read("step", state.step);
  reader.read("examples", state.examples);
  reader.read("seconds", state.seconds);
  reader.read("stopped", state.stopped);
  const JsonValue *sums = reader.find("sums", Kind::Array);
  const JsonValue *schedules = reader.find("schedules", Kind::Object);
  for (const JsonValue &sum : sums ? sums->items : std::vector<JsonValue>{}) {
    const std::optional<uint64_t> parsed = parseBits(sum);
    if (!parsed)
      return false;
    state.sums.push_back(std::bit_cast<double>(*parsed));
  }
  return schedules && readSchedules(*schedules, state) &&
         fromJson(reader.find("best", Kind::Object), state.best) &&
         fromJson(reader.find("stop", Kind::Object), state.stop);
}

std::string checksum(const std::vector<TensorView> &sorted, std::string_view state) {
  Hasher hasher;
  hasher.add(state);
  for (const TensorView &tensor : sorted)
    hasher.add(tensor.name).add(tensor.bytes);
  return hex(hasher.digest128());
}

} // namespace

Status writeCheckpoint(const std::string &path, VariableStore &variables, const TrainState &state) {
  std::vector<TensorView> tensors = variables.everything();
  std::ranges::sort(tensors, {}, &TensorView::name);
  const std::string text = toJson(state);
  return writeSafeTensors(
      path, tensors,
      {{kVersionKey, std::string(kVersion)}, {kStateKey, text}, {kChecksumKey, checksum(tensors, text)}});
}

StatusOr<Checkpoint> readCheckpoint(const std::string &path) {
  StatusOr<SafeTensors> file = SafeTensors::read(path);
  if (!file)
    return std::unexpected(file.error());
  const auto &metadata = file->metadata();
  const auto version = metadata.find(kVersionKey), text = metadata.find(kStateKey),
             sum = metadata.find(kChecksumKey);
  if (version == metadata.end() || version->second != kVersion || text == metadata.end() ||
      sum == metadata.end())
    return ioFailure(fmt::format("{}: not a checkpoint of this version of gradc", path));
  if (checksum(file->tensors(), text->second) != sum->second)
    return ioFailure(fmt::format("{}: damaged checkpoint: wrong checksum", path));
  Checkpoint checkpoint{std::move(*file), {}};
  const auto state = parseJsonValue(text->second);
  if (!state || !fromJson(*state, checkpoint.state))
    return ioFailure(fmt::format("{}: damaged checkpoint: incomplete state", path));
  return checkpoint;
}

Status checkIdentity(const std::string &path, const TrainState &then, const TrainState &now) {
  const auto takeLine = [](std::string_view &text) {
    const std::string_view line = text.empty() ? "nothing more" : text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
  };
  std::string_view thenLines = then.identity, nowLines = now.identity;
  while (!thenLines.empty() || !nowLines.empty())
    if (const auto [before, after] = std::pair(takeLine(thenLines), takeLine(nowLines)); before != after)
      return {ExitCode::InvalidInput,
              fmt::format("cannot resume from '{}': it is of another run; there '{}', but here '{}'", path,
                          before, after)};
  if (then.dataFingerprint != now.dataFingerprint)
    return {ExitCode::InvalidInput,
            fmt::format("cannot resume from '{}': the training data has changed since", path)};
  return okStatus();
}

} // namespace gradc
