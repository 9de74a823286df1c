// What a training run tells about itself, as plain values: the log, the progress display and the report show them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gradc {

/// Metrics in the order in which they are shown.
using NamedValues = std::vector<std::pair<std::string, double>>;

struct StepRecord {
  int64_t epoch = 1, epochs = 1; // from 1
  int64_t batch = 1, batches = 1;
  int64_t step = 0;    // complete steps
  double loss = 0;     // of this step
  NamedValues average; // over the epoch so far: train_loss, train_accuracy, …
  double learningRate = 0;
  double examplesPerSecond = 0, secondsPerStep = 0, eta = 0, elapsed = 0;
};

struct EpochRecord {
  int64_t epoch = 1, epochs = 1; // from 1
  int64_t step = 0;
  NamedValues values; // train_loss, train_accuracy, val_loss, val_accuracy, …
  double learningRate = 0;
  double seconds = 0, examplesPerSecond = 0;
  bool best = false;
  int64_t badEpochs = 0;
};

/// The objects of metrics.jsonl, one line without the line feed. What is not finite is null.
std::string toJson(const StepRecord &record);
std::string toJson(const EpochRecord &record);
/// An epoch's line of the log, or nothing if it is not one.
std::optional<EpochRecord> parseEpoch(const std::string &line);
/// {"kind":"event","event":"stopped","step":…,"text":…}
std::string eventJson(const std::string &event, int64_t step, const std::string &text);
/// {"kind":"event","event":"first_step",…}: seconds since the start of the process, and those of them that passed
/// only in waiting for data.
std::string firstStepJson(int64_t step, double seconds, double dataSeconds);

/// Time of one step of a program, under the model's names.
struct StepTime {
  std::string name;
  int64_t runs = 0;
  double milliseconds = 0;     // mean
  double fastest = 0;          // milliseconds
  double flops = 0, bytes = 0; // of one run; 0: not known
};

} // namespace gradc
