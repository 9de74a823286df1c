// Training: epochs over batches, evaluation, schedules, checkpoints, logs, signals. It knows programs only through
// ProgramSource, so the JIT, a stand-alone executable and a test drive the same loop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/checkpoint.h"
#include "runtime/evaluate.h"
#include "runtime/programs.h"
#include "runtime/progress.h"
#include "runtime/run_folder.h"
#include "runtime/signals.h"
#include "support/config.h"

namespace gradc {

/// What a program that trains by the library hears of it, and whether the user's signals are for the training.
struct TrainHooks {
  /// False stops the training as a signal does: with its checkpoint.
  std::function<bool(const StepRecord &)> step;
  std::function<bool(const EpochRecord &)> epoch;
  bool signals = true;
};

struct TrainOptions {
  TrainConfig config; // with what the command line changes
  std::string outFolder;
  int64_t limitBatches = 0; // per epoch; 0: all
  double maxSeconds = 0;    // 0: no limit
  bool checkFinite = false; // check every variable after every step, too
  bool profile = false;     // time every step of every program; else a few training steps, for the report

  enum class Resume : uint8_t { Fresh, Auto, File };
  Resume resume = Resume::Fresh;
  std::string resumeFile;
  std::string weightsFile; // start from these weights
  bool weightsPartial = false;
  std::string dataFolder; // where initialisers look for files

  std::string identity;                // of model and data, one fact a line (TrainState::identity)
  std::string description;             // run.json
  std::string modelName, modelSummary; // for the report
  std::map<std::string, std::string> weightsMetadata;
  std::string resumeCommand; // what a stopped run tells its user
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now(); // of the process
  double dataSeconds = 0; // that passed only in waiting for data
  TrainHooks hooks;
};

struct TrainResult {
  ExitCode code = ExitCode::Ok; // Ok or Stopped
  int64_t epoch = 0, step = 0;  // complete ones
  NamedValues last;             // values of the last complete epoch
};

class TrainLoop {
public:
  /// Everything must outlive the loop. `validation` may be empty.
  TrainLoop(TrainOptions options, Runners &runners, VariableStore &variables, ThreadPool &pool,
            DatasetView train, DatasetView validation, Progress &progress);

  /// Numeric (3): the loss or a variable is no longer finite; the last checkpoint is as it was before.
  /// Io (5): a file could not be written; the old one is intact.
  StatusOr<TrainResult> run();

  /// Mean times of the training step's kernels, in their order.
  const std::vector<StepTime> &stepTimes() const { return stepTimes_; }

private:
  enum class Outcome : uint8_t { Done, Stopped };

  Status prepare();
  Status startFresh();
  Status resumeFrom(const std::string &path, bool mayBeAbsent);
  void prefetchPrograms();
  StatusOr<Outcome> runEpoch();
  Status startBatch(const std::vector<int64_t> &order);
  struct OpenBatch {
    int64_t rows = 0;
    double learningRate = 0;
  };
  Status takeBatch(const BatchRunner &runner, const OpenBatch &batch);
  Status checkNumbers();
  StatusOr<bool> answerSignals();
  Status endEpoch();
  NamedValues trainAverages() const;
  StepRecord stepRecord() const;
  void profileAround(BatchRunner &runner, int64_t rows);
  Status save();
  Status saveWeights(const char *file);
  Status writeReport();
  double elapsed() const;

  TrainOptions options_;
  Runners &runners_;
  VariableStore &variables_;
  ThreadPool &pool_;
  DatasetView train_, validation_;
  Progress &progress_;
  std::optional<SignalScope> signals_; // none: the process's signals are not the training's
  bool stopAsked_ = false;             // by a hook

  std::optional<RunFolder> folder_;
  TrainState state_;
  std::vector<ScheduledValue> hyper_;
  std::vector<EpochRecord> history_;
  std::vector<StepTime> stepTimes_;
  int64_t batches_ = 0;      // per epoch
  OpenRuns<OpenBatch> runs_; // batches that were started and are not in `state_` yet
  double lastLoss_ = 0, learningRate_ = 0;
  double secondsBefore_ = 0; // of training before this process
  std::chrono::steady_clock::time_point started_, epochStarted_;
  int64_t epochExamples_ = 0; // that this process has trained on in this epoch
  int64_t stepsHere_ = 0;     // of this process
};

} // namespace gradc
