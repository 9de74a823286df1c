#include "runtime/train_loop.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

#include "runtime/report.h"
#include "support/clock.h"

namespace gradc {
namespace {

constexpr const char *kLast = "last.safetensors", *kBest = "best.safetensors";
constexpr int64_t kLogEvery = 50;                        // steps
constexpr int64_t kProfileFirst = 8, kProfileCount = 24; // steps that the report's times come from

/// Memory of this process that is not swapped out, from the second number of statm; 0 where there is none.
int64_t residentBytes() {
  long total = 0, resident = 0;
  if (FILE *f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &total, &resident) != 2)
      resident = 0;
    std::fclose(f);
  }
  return resident * sysconf(_SC_PAGESIZE);
}

/// What was allocated for training, to the byte, as `gradc check` announces it.
std::string memoryText(const VariableStore &variables, const gradc_program &program) {
  int64_t bytes = 0;
  for (const StoredVariable &variable : variables.variables())
    bytes += variable.data.size();
  return fmt::format("variables {} bytes, arena {} bytes, process {} bytes", bytes, program.arena_bytes,
                     residentBytes());
}

/// What must be the same for a run to go on, beside the model.
std::string runIdentity(const TrainOptions &options) {
  const TrainConfig &c = options.config;
  return fmt::format("{}{}batch size {}\nseed {}\nshuffle {}\nlimit batches {}\n", options.identity,
                     options.identity.empty() || options.identity.ends_with('\n') ? "" : "\n", c.batchSize,
                     c.seed, c.shuffle, options.limitBatches);
}

} // namespace

TrainLoop::TrainLoop(TrainOptions options, Runners &runners, VariableStore &variables, ThreadPool &pool,
                     DatasetView train, DatasetView validation, Progress &progress)
    : options_(std::move(options)), runners_(runners), variables_(variables), pool_(pool), train_(train),
      validation_(validation), progress_(progress),
      runs_([this](BatchRunner &runner, const OpenBatch &batch) { return takeBatch(runner, batch); }) {
  for (const HyperParameter &parameter : options_.config.hyper)
    hyper_.emplace_back(parameter);
  if (options_.hooks.signals)
    signals_.emplace();
  const TrainConfig &config = options_.config;
  std::string monitor = config.monitor;
  if (validation_.count == 0 && monitor == "val_loss")
    monitor = "train_loss";
  state_.best = {.monitor = monitor};
  state_.stop = {.monitor = config.stop.monitor, .minDelta = config.stop.minDelta};
  state_.sums.assign(1 + config.metrics.size(), 0.0);
  batches_ = batchCount(train_.count, config.batchSize, options_.limitBatches);
}

double TrainLoop::elapsed() const { return secondsBefore_ + secondsSince(started_); }

StatusOr<TrainResult> TrainLoop::run() {
  started_ = Clock::now();
  if (Status status = prepare(); !status.ok())
    return std::unexpected(status);
  prefetchPrograms();
  TrainResult result;
  while (state_.epoch < options_.config.epochs && !state_.stopped) {
    if (stopAsked_) { // after an epoch, whose checkpoint is written
      result.code = ExitCode::Stopped;
      break;
    }
    StatusOr<Outcome> outcome = runEpoch();
    if (!outcome)
      return std::unexpected(outcome.error());
    if (*outcome == Outcome::Stopped) {
      result.code = ExitCode::Stopped;
      break;
    }
  }
  result.epoch = state_.epoch;
  result.step = state_.step;
  if (!history_.empty())
    result.last = history_.back().values;
  return result;
}

Status TrainLoop::prepare() {
  StatusOr<RunFolder> folder = RunFolder::open(options_.outFolder);
  if (!folder)
    return folder.error();
  folder_ = std::move(*folder);
  folder_->setDescription(options_.description);
  state_.identity = runIdentity(options_);
  state_.dataFingerprint = train_.dataset->fingerprint();
  switch (options_.resume) {
  case TrainOptions::Resume::Fresh: return startFresh();
  case TrainOptions::Resume::Auto: return resumeFrom(folder_->checkpointPath(), true);
  case TrainOptions::Resume::File: return resumeFrom(options_.resumeFile, false);
  }
  return okStatus();
}

Status TrainLoop::startFresh() {
  if (options_.weightsFile.empty() || options_.weightsPartial)
    if (Status status = variables_.initialise(options_.config.seed, options_.dataFolder, pool_); !status.ok())
      return status;
  if (options_.weightsFile.empty())
    return okStatus();
  StatusOr<SafeTensors> file = SafeTensors::read(options_.weightsFile);
  return file ? variables_.loadWeights(*file, options_.weightsFile, options_.weightsPartial) : file.error();
}

Status TrainLoop::resumeFrom(const std::string &path, bool mayBeAbsent) {
  if (mayBeAbsent && !std::filesystem::exists(path))
    return startFresh();
  StatusOr<Checkpoint> checkpoint = readCheckpoint(path);
  if (!checkpoint && mayBeAbsent) {
    progress_.message(fmt::format("{}; starting afresh", checkpoint.error().text));
    return startFresh();
  }
  if (!checkpoint)
    return checkpoint.error();
  if (Status status = checkIdentity(path, checkpoint->state, state_); !status.ok())
    return status;
  if (Status status = variables_.loadEverything(checkpoint->tensors, path); !status.ok())
    return status;
  state_ = std::move(checkpoint->state);
  state_.sums.resize(1 + options_.config.metrics.size());
  secondsBefore_ = state_.seconds;
  for (ScheduledValue &value : hyper_)
    if (const auto it = state_.schedules.find(value.name()); it != state_.schedules.end())
      value.restore(it->second);
  progress_.message(
      fmt::format("resuming from '{}' at epoch {}, step {}", path, state_.epoch + 1, state_.step));
  if (std::filesystem::path(path).lexically_normal() !=
      std::filesystem::path(folder_->checkpointPath()).lexically_normal())
    return okStatus();
  StatusOr<std::vector<std::string>> lines = folder_->resumeLog(state_.step, state_.batch != 0);
  if (!lines)
    return lines.error();
  for (const std::string &line : *lines)
    if (std::optional<EpochRecord> record = parseEpoch(line))
      history_.push_back(std::move(*record));
  // The process may have died between the checkpoint of an epoch and its weights.
  if (state_.batch != 0 || state_.epoch == 0)
    return okStatus();
  const Status written = saveWeights(kLast);
  return written.ok() && state_.best.bestEpoch == state_.epoch - 1 ? saveWeights(kBest) : written;
}

void TrainLoop::prefetchPrograms() {
  const int64_t size = options_.config.batchSize, limit = options_.limitBatches;
  for (int64_t batch : batchSizes(train_.count, size, limit))
    runners_.prefetch(ProgramKind::TrainStep, batch);
  for (int64_t batch : batchSizes(validation_.count, size, limit))
    runners_.prefetch(ProgramKind::Eval, batch);
}

StatusOr<TrainLoop::Outcome> TrainLoop::runEpoch() {
  const std::vector<int64_t> order =
      epochOrder(train_.count, options_.config.seed, state_.epoch, options_.config.shuffle);
  epochStarted_ = Clock::now();
  epochExamples_ = 0;
  while (state_.batch + runs_.open() < batches_) {
    if (Status status = startBatch(order); !status.ok())
      return std::unexpected(status);
    StatusOr<bool> stop = answerSignals();
    if (!stop)
      return std::unexpected(stop.error());
    if (*stop)
      return Outcome::Stopped;
  }
  Status status = runs_.finishAll();
  if (status.ok())
    status = endEpoch();
  if (!status.ok())
    return std::unexpected(status);
  return Outcome::Done;
}

Status TrainLoop::startBatch(const std::vector<int64_t> &order) {
  const int64_t step = state_.step + runs_.open();
  const int64_t first = (state_.batch + runs_.open()) * options_.config.batchSize;
  const int64_t rows = std::min(options_.config.batchSize, train_.count - first);
  StatusOr<BatchRunner *> found = runners_.get(ProgramKind::TrainStep, rows);
  if (!found)
    return found.error();
  BatchRunner &runner = **found;
  runners_.beforeStep(step);
  for (const ScheduledValue &value : hyper_)
    runner.setFloat(value.name(), static_cast<float>(value.at(state_.epoch, step)));
  runner.setInteger("seed", static_cast<int64_t>(options_.config.seed));
  runner.setInteger("step", step);
  runner.setInteger("row0", 0);
  profileAround(runner, rows);

  std::vector<int64_t> examples(order.begin() + first, order.begin() + first + rows);
  for (int64_t &example : examples)
    example += train_.first;
  return runs_.start(runner, *train_.dataset, examples,
                     {rows, hyper_.empty() ? 0 : hyper_.front().at(state_.epoch, step)});
}

Status TrainLoop::takeBatch(const BatchRunner &runner, const OpenBatch &batch) {
  const int64_t rows = batch.rows;
  learningRate_ = batch.learningRate;
  lastLoss_ = runner.scalar("loss");
  if (Status status = checkNumbers(); !status.ok())
    return status;
  state_.sums[0] += lastLoss_ * static_cast<double>(rows);
  for (size_t i = 0; i < options_.config.metrics.size(); ++i)
    state_.sums[i + 1] +=
        static_cast<double>(runner.scalar(options_.config.metrics[i])) * static_cast<double>(rows);
  state_.examples += rows;
  epochExamples_ += rows;
  ++state_.batch;
  ++state_.step;
  if (stepsHere_++ == 0) {
    folder_->log(firstStepJson(state_.step, secondsSince(options_.start), options_.dataSeconds));
    folder_->log(eventJson("memory", state_.step, memoryText(variables_, runner.program())));
  }
  if (state_.step % kLogEvery == 0)
    folder_->log(toJson(stepRecord()));
  if (progress_.wantsStep(elapsed()))
    progress_.step(stepRecord());
  if (options_.hooks.step && !options_.hooks.step(stepRecord()))
    stopAsked_ = true;
  return okStatus();
}

Status TrainLoop::checkNumbers() {
  const auto diverged = [&](const std::string &what) {
    const std::string checkpoint = folder_->checkpointPath();
    return Status{ExitCode::Numeric,
                  fmt::format("{} at epoch {}, step {} (learning rate {:.4g}); {}", what, state_.epoch + 1,
                              state_.step + 1, learningRate_,
                              state_.epoch > 0 ? fmt::format("the last finite state is in '{}'", checkpoint)
                                               : "no checkpoint was written yet")};
  };
  if (!std::isfinite(lastLoss_))
    return diverged(fmt::format("the loss is {}", std::isnan(lastLoss_) ? "nan" : "infinite"));
  if (!options_.checkFinite)
    return okStatus();
  if (Status fetched = runners_.fetchVariables(); !fetched.ok())
    return fetched;
  if (const std::optional<std::string> name = variables_.findNonFinite(pool_))
    return diverged(fmt::format("'{}' is no longer finite", *name));
  return okStatus();
}

/// Whether the run is to stop here, with its checkpoint written.
StatusOr<bool> TrainLoop::answerSignals() {
  if (signals_ && signals_->takeStatusRequest()) {
    const StepRecord r = stepRecord();
    progress_.message(fmt::format("epoch {}/{} batch {}/{} step {} {} elapsed {}", r.epoch, r.epochs, r.batch,
                                  r.batches, r.step, keyValues(r.average), duration(r.elapsed)));
  }
  const bool finished = state_.batch + runs_.open() == batches_ && state_.epoch + 1 == options_.config.epochs;
  const bool outOfTime = options_.maxSeconds > 0 && secondsSince(started_) >= options_.maxSeconds;
  const bool asked = stopAsked_ || (signals_ && signals_->stopRequested());
  const bool stop = (asked || outOfTime) && !finished;
  const bool checkpoint = signals_ && signals_->takeCheckpointRequest();
  if (!stop && !checkpoint)
    return false;
  if (Status done = runs_.finishAll(); !done.ok())
    return std::unexpected(done);
  if (stop)
    folder_->log(eventJson("stopped", state_.step,
                           outOfTime    ? "out of time"
                           : stopAsked_ ? "by the program"
                                        : "by a signal"));
  Status status = save();
  if (status.ok() && stop)
    status = saveWeights(kLast);
  if (!status.ok())
    return std::unexpected(status);
  if (stop)
    progress_.message(fmt::format("stopped at epoch {}, step {}; go on with: {}", state_.epoch + 1,
                                  state_.step, options_.resumeCommand));
  return stop;
}

NamedValues TrainLoop::trainAverages() const {
  const double count = static_cast<double>(std::max<int64_t>(state_.examples, 1));
  NamedValues values = {{"train_loss", state_.sums[0] / count}};
  for (size_t i = 0; i < options_.config.metrics.size(); ++i)
    values.emplace_back("train_" + options_.config.metrics[i], state_.sums[i + 1] / count);
  return values;
}

StepRecord TrainLoop::stepRecord() const {
  const double seconds = std::max(secondsSince(epochStarted_), 1e-9);
  const double perStep = secondsSince(started_) / static_cast<double>(std::max<int64_t>(stepsHere_, 1));
  const int64_t left = batches_ * (options_.config.epochs - state_.epoch) - state_.batch;
  return {.epoch = state_.epoch + 1,
          .epochs = options_.config.epochs,
          .batch = state_.batch,
          .batches = batches_,
          .step = state_.step,
          .loss = lastLoss_,
          .average = trainAverages(),
          .learningRate = learningRate_,
          .examplesPerSecond = static_cast<double>(epochExamples_) / seconds,
          .secondsPerStep = perStep,
          .eta = perStep * static_cast<double>(left),
          .elapsed = elapsed()};
}

Status TrainLoop::endEpoch() {
  const TrainConfig &config = options_.config;
  if (!hyper_.empty()) // a run that was resumed at the very end of an epoch has made no step of it
    learningRate_ = hyper_.front().at(state_.epoch, std::max<int64_t>(state_.step - 1, 0));
  EpochRecord record{.epoch = state_.epoch + 1,
                     .epochs = config.epochs,
                     .step = state_.step,
                     .values = trainAverages(),
                     .learningRate = learningRate_};
  record.seconds = secondsSince(epochStarted_);
  record.examplesPerSecond = static_cast<double>(epochExamples_) / std::max(record.seconds, 1e-9);
  if (validation_.count > 0) {
    StatusOr<EvalResult> result =
        evaluate(runners_, validation_, config.batchSize, options_.limitBatches, config.metrics);
    if (!result)
      return result.error();
    record.values.emplace_back("val_loss", result->loss);
    for (const auto &[name, value] : result->metrics)
      record.values.emplace_back("val_" + name, value);
  }
  if (Status fetched = runners_.fetchVariables(); !fetched.ok())
    return fetched;
  // Weights that went wrong in the last update show in no training loss yet: never store them.
  if (const std::optional<std::string> name = variables_.findNonFinite(pool_))
    return {ExitCode::Numeric,
            fmt::format("'{}' is no longer finite at the end of epoch {}", *name, record.epoch)};

  const Metrics metrics(record.values.begin(), record.values.end());
  record.best = state_.best.update(metrics, state_.epoch);
  record.badEpochs = state_.best.badEpochs;
  if (config.stop.enabled && !state_.stop.update(metrics, state_.epoch))
    state_.stopped = state_.stop.badEpochs >= config.stop.patience;
  for (ScheduledValue &value : hyper_)
    if (value.endEpoch(metrics))
      progress_.message(
          fmt::format("plateau: {} is now {:.4g}", value.name(), value.at(state_.epoch, state_.step)));
  ++state_.epoch;
  state_.batch = state_.examples = 0;
  std::ranges::fill(state_.sums, 0.0);

  history_.push_back(record);
  folder_->log(toJson(record));
  progress_.epoch(record);
  if (state_.stopped)
    progress_.message(fmt::format("early stop: {} has not improved for {} epochs", state_.stop.monitor,
                                  state_.stop.badEpochs));
  Status status = save();
  if (status.ok() && record.best)
    status = saveWeights(kBest);
  if (status.ok())
    status = saveWeights(kLast);
  if (status.ok())
    status = writeReport();
  if (status.ok() && options_.hooks.epoch && !options_.hooks.epoch(record))
    stopAsked_ = true;
  return status;
}

Status TrainLoop::save() {
  for (const ScheduledValue &value : hyper_)
    state_.schedules[value.name()] = value.state();
  state_.seconds = elapsed();
  if (Status fetched = runners_.fetchVariables(); !fetched.ok())
    return fetched;
  return folder_->writeCheckpoint(variables_, state_);
}

Status TrainLoop::saveWeights(const char *file) {
  return folder_->writeWeights(file, variables_, options_.weightsMetadata);
}

void TrainLoop::profileAround(BatchRunner &runner, int64_t rows) {
  // A device that runs a step as one launch would have to take it apart: only where that is asked for.
  if (rows != options_.config.batchSize || (!options_.profile && runner.depth() > 1))
    return;
  if (stepsHere_ == (options_.profile ? 0 : kProfileFirst))
    runner.setProfiling(true);
  if (!options_.profile && stepsHere_ == kProfileFirst + kProfileCount) {
    stepTimes_ = runner.stepTimes();
    runner.setProfiling(false);
  }
}

Status TrainLoop::writeReport() {
  if (options_.profile)
    if (StatusOr<BatchRunner *> runner = runners_.get(ProgramKind::TrainStep, options_.config.batchSize);
        runner)
      stepTimes_ = (*runner)->stepTimes();
  return folder_->writeReport(makeReport({.title = options_.modelName,
                                          .summary = options_.modelSummary,
                                          .epochs = history_,
                                          .steps = stepTimes_}));
}

} // namespace gradc
