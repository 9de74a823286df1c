// The commands that run a model: their flags as rows, and what they do.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runtime/commands/host.h"
#include "runtime/evaluate.h"
#include "runtime/train_loop.h"
#include "support/options.h"

namespace gradc {

struct TrainFlags {
  std::string out, resume, weights, maxTime, profile;
  bool weightsPartial = false, checkFinite = false;
  std::optional<int64_t> epochs;
  TrainHooks hooks;
};
struct EvalFlags {
  std::string weights, split = "test";
  bool weightsPartial = false, json = false;
};
struct PredictFlags {
  std::string weights;
  std::vector<std::string> files;
  int64_t top = 1;
  bool json = false;
};

/// --threads
OptionTable threadOptions(HostFlags &flags);
/// --device; its target has the default.
OptionTable deviceOptions(std::string &device);
/// --data, --limit-batches and --progress
OptionTable dataOptions(HostFlags &flags);
OptionTable trainOptions(TrainFlags &flags);
/// `ownWeights`: the model brings weights, so --weights may be left out.
OptionTable evalOptions(EvalFlags &flags, bool ownWeights = false);
OptionTable predictOptions(PredictFlags &flags, bool ownWeights = false);

struct TrainReport {
  TrainResult result;
  std::optional<EvalResult> test; // of a run that came to its end
};
/// `start` is that of the process. A run that was stopped is no error. Prints progress only.
StatusOr<TrainReport> trainModel(Host &host, const TrainFlags &flags,
                                 std::chrono::steady_clock::time_point start);
/// The same as a command, which prints the test's results.
StatusOr<ExitCode> train(Host &host, const TrainFlags &flags, std::chrono::steady_clock::time_point start);
Status evaluateModel(Host &host, const EvalFlags &flags);
Status predict(Host &host, const PredictFlags &flags);

/// Seconds of "90", "30s", "10m", "2h", "1d".
std::optional<double> parseSeconds(std::string_view text);

} // namespace gradc
