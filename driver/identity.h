// What a run says about itself to files that outlive it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "driver/session.h"

namespace gradc {

/// The model and its training as text, one fact a line: the IR of its functions, its schedules, its data. Two runs
/// with equal texts compute the same.
StatusOr<std::string> modelIdentity(const LoadedModel &model);

/// run.json
std::string runDescription(const Session &session, std::string_view identity);

/// Metadata of weights: format, model hash, class names; nothing of time, host, path or threads.
std::map<std::string, std::string> weightsMetadata(const LoadedModel &model, std::string_view identity);

/// The command line of this process with --resume auto, quoted for a shell.
std::string resumeCommand(const std::string &outFolder);

/// Nodes, shapes and parameters as a table.
std::string modelSummary(const LoadedModel &model);

} // namespace gradc
