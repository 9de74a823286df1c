// gradc train: trains a model on its data.
#include <chrono>
#include <fstream>
#include <future>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "driver/commands.h"
#include "driver/identity.h"
#include "driver/session.h"
#include "runtime/train_loop.h"
#include "support/files.h"

namespace gradc {
namespace {

using Clock = std::chrono::steady_clock;

struct TrainFlags {
  SessionFlags session;
  std::string out, resume, weights, maxTime, profile;
  bool weightsPartial = false, checkFinite = false;
  std::optional<int64_t> epochs;
};

Status applyFlags(const TrainFlags &flags, const Session &session, TrainOptions &options) {
  options.config = session.model.train;
  if (flags.epochs)
    options.config.epochs = *flags.epochs;
  options.outFolder = flags.out.empty() ? "runs/" + session.model.name : flags.out;
  options.limitBatches = flags.session.limitBatches;
  options.checkFinite = flags.checkFinite;
  options.profile = !flags.profile.empty();
  options.weightsFile = flags.weights;
  options.weightsPartial = flags.weightsPartial;
  if (!flags.maxTime.empty()) {
    const std::optional<double> seconds = parseSeconds(flags.maxTime);
    if (!seconds)
      return {ExitCode::Usage,
              fmt::format("--max-time is a number with s, m, h or d, but got '{}'", flags.maxTime)};
    options.maxSeconds = *seconds;
  }
  if (!flags.resume.empty() && !flags.weights.empty())
    return {ExitCode::Usage, "--resume goes on with a run and --weights starts one: give one of them"};
  options.resume = flags.resume.empty()     ? TrainOptions::Resume::Fresh
                   : flags.resume == "auto" ? TrainOptions::Resume::Auto
                                            : TrainOptions::Resume::File;
  options.resumeFile = flags.resume;
  return okStatus();
}

Status describe(const Session &session, TrainOptions &options) {
  StatusOr<std::string> identity = modelIdentity(session.model);
  if (!identity)
    return identity.error();
  options.identity = std::move(*identity);
  options.description = runDescription(session, options.identity);
  options.modelName = session.model.name;
  options.modelSummary = modelSummary(session.model);
  options.weightsMetadata = weightsMetadata(session.model, options.identity);
  options.resumeCommand = resumeCommand(options.outFolder);
  options.dataFolder = session.dataFolder();
  return okStatus();
}

/// Per-step times as CSV, in the order of the program.
Status writeProfile(const std::string &path, const std::vector<StepTime> &steps) {
  std::string text = "kernel,runs,mean_ms,fastest_ms,flops,bytes\n";
  for (const StepTime &step : steps)
    text += fmt::format("\"{}\",{},{:.6f},{:.6f},{:.0f},{:.0f}\n", step.name, step.runs, step.milliseconds,
                        step.fastest, step.flops, step.bytes);
  return writeFileAtomically(path, text);
}

Status printTest(const Session &session, Runners &runners, const DatasetView &test) {
  StatusOr<EvalResult> result =
      evaluate(runners, test, session.batchSize(), session.flags.limitBatches, session.model.train.metrics);
  if (!result)
    return result.error();
  fmt::print("test loss: {:.4f}\n", result->loss);
  for (const auto &[name, value] : result->metrics)
    fmt::print("test {}: {:.4f}\n", name, value);
  return okStatus();
}

StatusOr<ExitCode> train(const TrainFlags &flags, Session &session, Clock::time_point start) {
  TrainOptions options;
  if (Status status = applyFlags(flags, session, options); !status.ok())
    return std::unexpected(status);
  if (!session.model.hasLoss)
    return failure(ExitCode::InvalidInput,
                   fmt::format("model '{}' has no loss to train", session.model.name));
  session.programs->prefetch(ProgramKind::TrainStep, session.batchSize());
  std::future<StatusOr<ModelData>> loading = std::async(std::launch::async, [&] {
    return loadModelData(session.model, session.dataFolder(),
                         {.train = true, .validation = true, .test = true});
  });
  options.start = start;
  Status status = describe(session, options);
  StatusOr<VariableStore> variables = session.makeVariables(true);
  const Clock::time_point waiting = Clock::now();
  StatusOr<ModelData> data = loading.get();
  options.dataSeconds = std::chrono::duration<double>(Clock::now() - waiting).count();
  if (!status.ok())
    return std::unexpected(status);
  if (!variables)
    return std::unexpected(variables.error());
  if (!data)
    return std::unexpected(data.error());

  Progress progress(*parseProgressMode(flags.session.progress));
  Runners runners(*session.programs, *session.pool, session.workspace, *variables, session.model.data.inputs);
  progress.message(
      fmt::format("training {} on {} examples, {} for validation, seed {}, {} threads, into '{}'",
                  session.model.name, data->trainView().count, data->validationView().count,
                  options.config.seed, session.pool->threads(), options.outFolder));
  TrainLoop loop(options, runners, *variables, *session.pool, data->trainView(), data->validationView(),
                 progress);
  StatusOr<TrainResult> result = loop.run();
  if (!result)
    return std::unexpected(result.error());
  if (options.profile)
    if (Status written = writeProfile(flags.profile, loop.stepTimes()); !written.ok())
      return std::unexpected(written);
  if (result->code == ExitCode::Ok && data->test)
    if (Status tested = printTest(session, runners, data->testView()); !tested.ok())
      return std::unexpected(tested);
  return result->code;
}

ExitCode runTrain(const TrainFlags &flags) {
  const Clock::time_point start = Clock::now();
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  StatusOr<ExitCode> code = train(flags, *session, start);
  return code ? *code : fail(code.error());
}

} // namespace

void registerTrain(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App *command = app.add_subcommand("train", "Train a model on its data");
  addSessionFlags(*command, flags->session);
  addDataFlags(*command, flags->session);
  command->add_option("--out", flags->out, "Folder of the run (default: runs/<model's name>)")
      ->type_name("DIR");
  command->add_option("--epochs", flags->epochs, "Epochs (default: the model's train.epochs)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->type_name("N");
  command->add_option("--resume", flags->resume, "Go on from the run in --out (auto), or from a checkpoint")
      ->type_name("auto|FILE");
  command->add_option("--weights", flags->weights, "Start from these weights")->type_name("FILE");
  command->add_flag("--weights-partial", flags->weightsPartial, "Take what fits of --weights");
  command->add_option("--max-time", flags->maxTime, "Stop after this time with a checkpoint: 90s, 10m, 2h")
      ->type_name("TIME");
  command->add_flag("--check-finite", flags->checkFinite, "Check every variable after every step");
  command->add_option("--profile", flags->profile, "Write the times of the training step's kernels as CSV")
      ->type_name("FILE");
  command->callback([flags, &exit] { exit = runTrain(*flags); });
}

} // namespace gradc
