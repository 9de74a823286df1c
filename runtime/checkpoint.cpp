#include "runtime/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/hash.h"

namespace gradc {
namespace {

using nlohmann::json;

constexpr std::string_view kVersion = "gradc-checkpoint/1";
constexpr const char *kVersionKey = "version", *kStateKey = "state", *kChecksumKey = "checksum";

// Doubles travel as their bits: exact, and infinities and NaN have no other form in JSON.
std::string bits(double value) { return hex(std::bit_cast<uint64_t>(value)); }

/// Reads members of a JSON object without exceptions; remembers whether anything was missing or of another type.
class Reader {
public:
  explicit Reader(const json &object) : object_(object) {}

  void read(const char *key, int64_t &out) {
    if (const json *value = find(key); value && value->is_number_integer())
      out = value->get<int64_t>();
    else
      ok_ = false;
  }
  void read(const char *key, bool &out) {
    if (const json *value = find(key); value && value->is_boolean())
      out = value->get<bool>();
    else
      ok_ = false;
  }
  void read(const char *key, std::string &out) {
    if (const json *value = find(key); value && value->is_string())
      out = value->get<std::string>();
    else
      ok_ = false;
  }
  void read(const char *key, double &out) {
    const json *value = find(key);
    const std::optional<uint64_t> parsed = value ? parseBits(*value) : std::nullopt;
    ok_ = ok_ && parsed;
    out = parsed ? std::bit_cast<double>(*parsed) : 0;
  }
  void read(const char *key, uint64_t &out) {
    const json *value = find(key);
    const std::optional<uint64_t> parsed = value ? parseBits(*value) : std::nullopt;
    ok_ = ok_ && parsed;
    out = parsed.value_or(0);
  }
  const json *find(const char *key) const {
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }
  static std::optional<uint64_t> parseBits(const json &value) {
    if (!value.is_string() || value.get_ref<const std::string &>().size() != 16)
      return std::nullopt;
    uint64_t result = 0;
    for (char c : value.get_ref<const std::string &>()) {
      if (!std::isxdigit(static_cast<unsigned char>(c)))
        return std::nullopt;
      result = result << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return result;
  }
  bool ok() const { return ok_; }

private:
  const json &object_;
  bool ok_ = true;
};

json toJson(const BestTracker &best) {
  return {{"monitor", best.monitor},
          {"min_delta", bits(best.minDelta)},
          {"best", bits(best.best)},
          {"best_epoch", best.bestEpoch},
          {"bad_epochs", best.badEpochs}};
}

bool fromJson(const json *value, BestTracker &best) {
  if (!value || !value->is_object())
    return false;
  Reader reader(*value);
  reader.read("monitor", best.monitor);
  reader.read("min_delta", best.minDelta);
  reader.read("best", best.best);
  reader.read("best_epoch", best.bestEpoch);
  reader.read("bad_epochs", best.badEpochs);
  return reader.ok();
}

json toJson(const TrainState &state) {
  json schedules = json::object(), sums = json::array();
  for (const auto &[name, s] : state.schedules)
    schedules[name] = {{"current", bits(s.current)},
                       {"best", bits(s.best)},
                       {"bad_epochs", s.badEpochs},
                       {"cooldown", s.cooldown},
                       {"has_best", s.hasBest}};
  for (double sum : state.sums)
    sums.push_back(bits(sum));
  return {{"identity", state.identity},
          {"data", hex(state.dataFingerprint)},
          {"epoch", state.epoch},
          {"batch", state.batch},
          {"step", state.step},
          {"examples", state.examples},
          {"sums", sums},
          {"seconds", bits(state.seconds)},
          {"stopped", state.stopped},
          {"schedules", schedules},
          {"best", toJson(state.best)},
          {"stop", toJson(state.stop)}};
}

bool fromJson(const json &value, TrainState &state) {
  if (!value.is_object())
    return false;
  Reader reader(value);
  reader.read("identity", state.identity);
  reader.read("data", state.dataFingerprint);
  reader.read("epoch", state.epoch);
  reader.read("batch", state.batch);
  reader.read("step", state.step);
  reader.read("examples", state.examples);
  reader.read("seconds", state.seconds);
  reader.read("stopped", state.stopped);
  const json *sums = reader.find("sums"), *schedules = reader.find("schedules");
  if (!reader.ok() || !sums || !sums->is_array() || !schedules || !schedules->is_object())
    return false;
  for (const json &sum : *sums) {
    const std::optional<uint64_t> parsed = Reader::parseBits(sum);
    if (!parsed)
      return false;
    state.sums.push_back(std::bit_cast<double>(*parsed));
  }
  for (const auto &[name, entry] : schedules->items()) {
    if (!entry.is_object())
      return false;
    Reader each(entry);
    ScheduledValue::State &s = state.schedules[name];
    each.read("current", s.current);
    each.read("best", s.best);
    each.read("bad_epochs", s.badEpochs);
    each.read("cooldown", s.cooldown);
    each.read("has_best", s.hasBest);
    if (!each.ok())
      return false;
  }
  return fromJson(reader.find("best"), state.best) && fromJson(reader.find("stop"), state.stop);
}

std::string checksum(const std::vector<TensorView> &sorted, std::string_view state) {
  Hasher hasher;
  hasher.add(state);
  for (const TensorView &tensor : sorted)
    hasher.add(tensor.name).add(tensor.bytes);
  return hex(hasher.digest128());
}

} // namespace

Status writeCheckpoint(const std::string &path, const VariableStore &variables, const TrainState &state) {
  std::vector<TensorView> tensors = variables.everything();
  std::ranges::sort(tensors, {}, &TensorView::name);
  const std::string text = toJson(state).dump(-1, ' ', true, json::error_handler_t::replace);
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
  const json state = json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  if (!fromJson(state, checkpoint.state))
    return ioFailure(fmt::format("{}: damaged checkpoint: incomplete state", path));
  return checkpoint;
}

Status checkIdentity(const std::string &path, const TrainState &then, const TrainState &now) {
  std::istringstream thenLines(then.identity), nowLines(now.identity);
  std::string before, after;
  while (true) {
    const bool hasBefore = static_cast<bool>(std::getline(thenLines, before));
    const bool hasAfter = static_cast<bool>(std::getline(nowLines, after));
    if (!hasBefore && !hasAfter)
      break;
    if (hasBefore != hasAfter || before != after)
      return {ExitCode::InvalidInput,
              fmt::format("cannot resume from '{}': it is of another run; there '{}', but here '{}'", path,
                          hasBefore ? before : "nothing more", hasAfter ? after : "nothing more")};
  }
  if (then.dataFingerprint != now.dataFingerprint)
    return {ExitCode::InvalidInput,
            fmt::format("cannot resume from '{}': the training data has changed since", path)};
  return okStatus();
}

} // namespace gradc
