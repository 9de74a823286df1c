// Commands that take MODEL load it here.
#pragma once

#include <optional>
#include <string>

#include "driver/command_line.h"
#include "frontend/model.h"
#include "support/result.h"

namespace gradc {

/// The flags by which a command changes what the model file says.
struct ModelFlags {
  std::string file;
  ModelOverrides overrides; // --set, --only, --freeze, --batch, --seed
};

/// The model, --set, --only, --freeze, --seed and --batch. `flags` must outlive the parse.
Options modelOptions(ModelFlags &flags);
/// The same without --batch, for a command that takes several.
Options modelOptionsButBatch(ModelFlags &flags);

/// Reads and checks the model. Nothing where that failed: `exit` has the code and stderr the messages. Warnings
/// are printed too.
std::optional<LoadedModel> loadModelFile(const ModelFlags &flags, ExitCode &exit);

} // namespace gradc
