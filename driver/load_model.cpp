#include "driver/load_model.h"

#include <charconv>

#include <fmt/format.h>

#include "driver/compile_flags.h"
#include "driver/io.h"

namespace gradc {
namespace {

/// CLI11 alone takes -1, and makes the largest seed of what is larger.
std::string checkSeed(const std::string &text) {
  uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  const bool isSeed = error == std::errc() && end == text.data() + text.size();
  return isSeed ? "" : fmt::format("a seed is 0 to 2^64 - 1, but got '{}'", text);
}

} // namespace

Options modelOptionsButBatch(ModelFlags &flags) {
  return {{.name = "model",
           .target = &flags.file,
           .type = "MODEL",
           .doc = "A model file (docs/model-file.md)",
           .required = true},
          {.name = "--set",
           .target = &flags.overrides.set,
           .type = "POINTER=VALUE",
           .doc = "Change the model file: /json/pointer=value"},
          {.name = "--only",
           .target = &flags.overrides.trained.only,
           .type = "NODE,...",
           .doc = "Train the parameters of these nodes alone; * and ? stand for any text and character",
           .commas = true},
          {.name = "--freeze",
           .target = &flags.overrides.trained.frozen,
           .type = "NODE,...",
           .doc = "Do not train the parameters of these nodes",
           .commas = true},
          {.name = "--seed",
           .target = &flags.overrides.seed,
           .type = "N",
           .doc = "Seed (default: the model's train.seed)",
           .check = checkSeed}};
}

Options modelOptions(ModelFlags &flags) {
  return modelOptionsButBatch(flags) + Options{{.name = "--batch",
                                                .target = &flags.overrides.batchSize,
                                                .type = "N",
                                                .doc = "Batch size (default: the model's train.batch_size)",
                                                .least = 1,
                                                .most = int64_t{1} << 30}};
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
