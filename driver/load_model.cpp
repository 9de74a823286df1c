#include "driver/load_model.h"

#include <CLI/CLI.hpp>

#include "driver/compile_flags.h"
#include "driver/io.h"

namespace gradc {

void addModelFlagsButBatch(CLI::App &command, ModelFlags &flags) {
  command.add_option("model", flags.file, "A model file (docs/model-file.md)")
      ->required()
      ->type_name("MODEL");
  command.add_option("--set", flags.overrides.set, "Change the model file: /json/pointer=value")
      ->type_name("POINTER=VALUE")
      ->allow_extra_args(false);
  command.add_option("--seed", flags.overrides.seed, "Seed (default: the model's train.seed)")
      ->type_name("N");
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
