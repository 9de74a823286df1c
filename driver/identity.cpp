#include "driver/identity.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ir/text.h"
#include "support/files.h"
#include "support/hash.h"

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

/// The words of this process's command line, from the kernel.
std::vector<std::string> commandLine() {
  std::vector<std::string> words;
  const std::string text = readFile("/proc/self/cmdline").value_or("gradc");
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string quote(const std::string &word) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_-./=:,@%+").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, plain))
    return word;
  std::string quoted = "'";
  for (char c : word)
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string modelHash(std::string_view identity) { return hex(hash128(identity)); }

} // namespace

StatusOr<std::string> modelIdentity(const LoadedModel &model) {
  Diagnostics diag;
  Result<Module> module = model.instantiate(model.train.batchSize, diag);
  if (!module)
    return failure(ExitCode::InvalidInput, diag.all().front().message);
  std::string text = print(*module);
  const TrainConfig &train = model.train;
  for (const HyperParameter &hyper : train.hyper)
    text += hyperLine(hyper);
  text += fmt::format("best by {}, stop {} by {} patience {} min_delta {}, validation split {}\n",
                      train.monitor, train.stop.enabled, train.stop.monitor, train.stop.patience,
                      train.stop.minDelta, model.data.validationSplit);
  return text;
}

std::string runDescription(const Session &session, std::string_view identity) {
  using Json = nlohmann::ordered_json;
  const Json object = {{"argv", commandLine()},
                       {"gradc", GRADC_VERSION},
                       {"model", session.model.name},
                       {"model_hash", modelHash(identity)},
                       {"seed", session.model.train.seed},
                       {"threads", session.pool->threads()},
                       {"cpu", session.target.name},
                       {"features", session.target.features}};
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::map<std::string, std::string> weightsMetadata(const LoadedModel &model, std::string_view identity) {
  std::map<std::string, std::string> metadata = {{"format", "gradc/1"}, {"model_hash", modelHash(identity)}};
  if (!model.data.classNames.empty())
    metadata["classes"] =
        nlohmann::json(model.data.classNames).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return metadata;
}

std::string resumeCommand(const std::string &outFolder) {
  const std::vector<std::string> words = commandLine();
  std::string command;
  bool out = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool dropped = words[i] == "--resume" || words[i] == "--weights";
    if (dropped) {
      ++i; // its value, too
      continue;
    }
    if (words[i].starts_with("--resume=") || words[i].starts_with("--weights=") ||
        words[i] == "--weights-partial")
      continue;
    out = out || words[i] == "--out" || words[i].starts_with("--out=");
    command += (command.empty() ? "" : " ") + quote(words[i]);
  }
  return command + (out ? "" : " --out " + quote(outFolder)) + " --resume auto";
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
