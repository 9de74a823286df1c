#include "runtime/commands/host.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/evaluate.h"
#include "support/files.h"
#include "support/hash.h"
#include "support/json_value.h"

namespace gradc {
namespace {

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

StatusOr<VariableStore> makeVariables(Host &host, bool train) {
  std::vector<VariableSpec> specs = host.facts().variables;
  if (train) {
    StatusOr<std::vector<VariableSpec>> slots = host.slots();
    if (!slots)
      return std::unexpected(slots.error());
    specs.insert(specs.end(), slots->begin(), slots->end());
  }
  return VariableStore::create(std::move(specs), host.threads());
}

StatusOr<VariableStore> loadVariables(Host &host, const std::string &path, bool partial) {
  StatusOr<SafeTensors> file = path.empty() ? host.ownWeights() : SafeTensors::read(path);
  if (!file)
    return std::unexpected(file.error());
  StatusOr<VariableStore> variables = VariableStore::create(host.facts().variables, host.threads(), &*file);
  if (!variables)
    return variables;
  const Status loaded =
      variables->loadWeights(*file, path.empty() ? "the model's own weights" : path, partial);
  return loaded.ok() ? std::move(variables) : std::unexpected(loaded);
}

Status checkBatches(Host &host, std::initializer_list<DataPass> passes) {
  std::vector<InstanceKey> needed;
  for (const DataPass &pass : passes)
    for (int64_t batch :
         batchSizes(pass.examples, host.facts().train.batchSize, host.hostFlags().limitBatches))
      needed.push_back({pass.kind, batch});
  return host.programs().check(needed);
}

std::string runDescription(Host &host, std::string_view identity) {
  return JsonObject()
             .add("argv", commandLine())
             .add("gradc", GRADC_VERSION)
             .add("model", host.facts().name)
             .add("model_hash", modelHash(identity))
             .add("seed", host.facts().train.seed)
             .add("threads", host.threads().threads())
             .add("cpu", host.processor())
             .add("features", host.processorFeatures())
             .lines() +
         "\n";
}

std::map<std::string, std::string> weightsMetadata(const ModelFacts &model, std::string_view identity) {
  std::map<std::string, std::string> metadata = {{"format", "gradc/1"}, {"model_hash", modelHash(identity)}};
  if (!model.data.classNames.empty())
    metadata["classes"] = jsonText(model.data.classNames);
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

} // namespace gradc
