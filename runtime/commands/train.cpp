// train: trains a model on its data.
#include <charconv>
#include <future>

#include <fmt/format.h>

#include "runtime/commands/commands.h"
#include "runtime/commands/model_data.h"
#include "support/clock.h"
#include "support/files.h"
#include "support/say.h"

namespace gradc {
namespace {

Status applyFlags(const TrainFlags &flags, Host &host, TrainOptions &options) {
  options.config = host.facts().train;
  if (flags.epochs)
    options.config.epochs = *flags.epochs;
  options.outFolder = flags.out.empty() ? "runs/" + host.facts().name : flags.out;
  options.limitBatches = host.hostFlags().limitBatches;
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
  options.hooks = flags.hooks;
  return okStatus();
}

Status describe(Host &host, TrainOptions &options) {
  StatusOr<std::string> identity = host.identity();
  if (!identity)
    return identity.error();
  options.identity = std::move(*identity);
  options.description = runDescription(host, options.identity);
  options.modelName = host.facts().name;
  options.modelSummary = host.summary();
  options.weightsMetadata = weightsMetadata(host.facts(), options.identity);
  options.resumeCommand = resumeCommand(options.outFolder);
  options.dataFolder = host.dataFolder();
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

void print(const EvalResult &test) {
  say("test loss: {:.4f}\n", test.loss);
  for (const auto &[name, value] : test.metrics)
    say("test {}: {:.4f}\n", name, value);
}

} // namespace

std::optional<double> parseSeconds(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error != std::errc{} || !(value > 0))
    return std::nullopt;
  for (const auto &[name, factor] :
       {std::pair{"", 1.0}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}, {"d", 86400.0}})
    if (unit == name)
      return value * factor;
  return std::nullopt;
}

StatusOr<TrainReport> trainModel(Host &host, const TrainFlags &flags, Clock::time_point start) {
  TrainOptions options;
  if (Status status = applyFlags(flags, host, options); !status.ok())
    return std::unexpected(status);
  if (!host.facts().hasLoss)
    return failure(ExitCode::InvalidInput, fmt::format("model '{}' has no loss to train", host.facts().name));
  host.programs().prefetch(ProgramKind::TrainStep, host.facts().train.batchSize);
  std::future<StatusOr<ModelData>> loading = std::async(std::launch::async, [&] {
    return loadModelData(host.facts(), host.dataFolder(), {.train = true, .validation = true, .test = true});
  });
  options.start = start;
  Status status = describe(host, options);
  StatusOr<VariableStore> variables = makeVariables(host, true);
  const Clock::time_point waiting = Clock::now();
  StatusOr<ModelData> data = loading.get();
  options.dataSeconds = secondsSince(waiting);
  if (!status.ok())
    return std::unexpected(status);
  if (!variables)
    return std::unexpected(variables.error());
  if (!data)
    return std::unexpected(data.error());
  const bool trains = options.config.epochs > 0; // else only the test is run
  if (Status known = checkBatches(host, {{ProgramKind::TrainStep, trains ? data->trainView().count : 0},
                                         {ProgramKind::Eval, trains ? data->validationView().count : 0},
                                         {ProgramKind::Eval, data->testView().count}});
      !known.ok())
    return std::unexpected(known);

  Progress progress(*parseProgressMode(host.hostFlags().progress));
  Runners runners(host.programs(), host.device(), *variables, host.facts().data.inputs);
  TrainLoop loop(options, runners, *variables, host.threads(), data->trainView(), data->validationView(),
                 progress);
  progress.message(fmt::format("training {} on {} examples, {} for validation, seed {}, {}, into '{}'",
                               host.facts().name, data->trainView().count, data->validationView().count,
                               options.config.seed, host.device().description(), options.outFolder));
  StatusOr<TrainResult> result = loop.run();
  if (!result)
    return std::unexpected(result.error());
  if (options.profile)
    if (Status written = writeProfile(flags.profile, loop.stepTimes()); !written.ok())
      return std::unexpected(written);
  TrainReport report{std::move(*result), {}};
  if (report.result.code != ExitCode::Ok || !data->test)
    return report;
  StatusOr<EvalResult> test = evaluate(runners, data->testView(), host.facts().train.batchSize,
                                       host.hostFlags().limitBatches, host.facts().train.metrics);
  if (!test)
    return std::unexpected(test.error());
  report.test = std::move(*test);
  return report;
}

StatusOr<ExitCode> train(Host &host, const TrainFlags &flags, Clock::time_point start) {
  const StatusOr<TrainReport> report = trainModel(host, flags, start);
  if (!report)
    return std::unexpected(report.error());
  if (report->test)
    print(*report->test);
  return report->result.code;
}

} // namespace gradc
