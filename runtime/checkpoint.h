// last.ckpt: everything that is needed to go on bit for bit. A safetensors file: tensors are the variables, slots
// too; the metadata holds the state below and a checksum of the tensors. Written atomically.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/schedule.h"
#include "runtime/variables.h"
#include "support/result.h"

namespace gradc {

/// Where a run stands, beside its variables.
struct TrainState {
  // What the run is. Another identity cannot go on from here.
  std::string identity; // text, one fact a line, so that a refusal can show the difference
  uint64_t dataFingerprint = 0;

  int64_t epoch = 0; // complete epochs
  int64_t batch = 0; // complete batches of the epoch that has begun
  int64_t step = 0;  // complete steps
  // Of the epoch that has begun: Σ over its examples of loss and metrics, in the order of the steps.
  int64_t examples = 0;
  std::vector<double> sums;
  double seconds = 0;   // of training so far; no result depends on it
  bool stopped = false; // by early stopping

  std::map<std::string, ScheduledValue::State> schedules; // by hyper-parameter
  BestTracker best, stop;
};

Status writeCheckpoint(const std::string &path, VariableStore &variables, const TrainState &state);

struct Checkpoint {
  SafeTensors tensors;
  TrainState state;
};
/// Reads and checks a checkpoint: format version, checksum, completeness of the state. Exit code 5 otherwise.
StatusOr<Checkpoint> readCheckpoint(const std::string &path);

/// Why a run of `now` cannot go on from a checkpoint of `then` (exit code 1), or ok.
Status checkIdentity(const std::string &path, const TrainState &then, const TrainState &now);

} // namespace gradc
