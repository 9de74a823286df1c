// Commands that take MODEL_OR_GIR load it here.
#pragma once

#include <optional>
#include <string>

#include "driver/load_model.h"
#include "ir/ir.h"
#include "support/result.h"

namespace gradc {

/// Reads, parses and verifies a .gir file. Nothing where that failed: `exit` has the code and stderr the messages.
std::optional<Module> loadGir(const std::string &path, ExitCode &exit);

/// True for names of model files; everything else is IR text.
inline bool isModelFile(const std::string &path) { return path.ends_with(".json"); }

/// @infer and @eval can be had for batches that are too small to train.
inline Purpose purposeOf(std::string_view function) {
  return function == "infer" || function == "eval" ? Purpose::Inference : Purpose::Training;
}

/// Reads a .gir file, or the functions of a model at a batch size (nothing: train.batch_size).
std::optional<Module> loadModule(const ModelFlags &flags, std::optional<int64_t> batch, Purpose purpose,
                                 ExitCode &exit);

/// The function of that name; an empty name is the only function. Reports on stderr.
const Function *chooseFunction(const Module &module, const std::string &name, ExitCode &exit);

} // namespace gradc
