#include "driver/load_model.h"

#include <charconv>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/compile_flags.h"
#include "driver/io.h"

namespace gradc {
namespace {

/// CLI11 alone takes -1, and makes the largest seed of what is larger.
bool isSeed(std::string_view text) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  return error == std::errc() && end == text.data() + text.size();
}

} // namespace

void addModelFlagsButBatch(CLI::App &command, ModelFlags &flags) {
  command.add_option("model", flags.file, "A model file (docs/model-file.md)")
      ->required()
      ->type_name("MODEL");
  command.add_option("--set", flags.overrides.set, "Change the model file: /json/pointer=value")
      ->type_name("POINTER=VALUE")
      ->allow_extra_args(false);
  command.add_option("--seed", flags.overrides.seed, "Seed (default: the model's train.seed)")
      ->type_name("N")
      ->check([](const std::string &text) {
        return isSeed(text) ? "" : fmt::format("a seed is 0 to 2^64 - 1, but got '{}'", text);
      });
}

void addModelFlags(CLI::App &command, ModelFlags &flags) {
  addModelFlagsButBatch(command, flags);
  command
      .add_option("--batch", flags.overrides.batchSize, "Batch size (default: the model's train.batch_size)")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
}

std::optional<LoadedModel> loadModelFile(const ModelFlags &flags, ExitCode &exit) {
  StatusOr<std::string> text = readInput(flags.file);
  if (!text) {
    exit = fail(text.error());
    return std::nullopt;
  }
  Diagnostics diag;
  Result<LoadedModel> model = loadModel(std::move(*text), displayName(flags.file), flags.overrides, diag);
  exit = finish(diag);
  if (!model)
    return std::nullopt;
  return std::move(*model);
}

} // namespace gradc
