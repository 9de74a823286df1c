// gradc run: runs one function on given or made-up arguments, and compares backends.
#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "driver/arguments.h"
#include "driver/backend.h"
#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "driver/load_module.h"
#include "driver/values.h"
#include "ir/text.h"
#include "support/say.h"

namespace gradc {
namespace {

struct RunFlags {
  ModelFlags model;
  ArgumentFlags arguments;
  std::string function, output, backend = "interp", compare;
  Tolerance tolerance{1e-5, 1e-6};
  int64_t threads = 1;
  bool inMemory = false, time = false;
  Precision precision = Precision::F32;
};

Status writeResults(const Function &fn, const std::vector<Tensor> &results, const std::string &output) {
  std::vector<std::string> names = resultNames(fn);
  if (output.empty()) {
    std::string text;
    for (size_t i = 0; i < results.size(); ++i)
      text += fmt::format("%{} : {} = {}\n", names[i], toString(results[i].type()), valueText(results[i]));
    return writeOutput("-", text);
  }
  if (output.ends_with(".npy") && results.size() == 1)
    return writeNpy(output, toNpy(results[0]));
  NpzArrays arrays;
  for (size_t i = 0; i < results.size(); ++i)
    arrays.emplace_back(names[i], toNpy(results[i]));
  return writeNpz(output, arrays);
}

ExitCode compareResults(const Function &fn, const std::vector<Tensor> &results,
                        const std::vector<Tensor> &reference, const RunFlags &flags) {
  std::vector<std::string> names = resultNames(fn);
  ExitCode exit = ExitCode::Ok;
  for (size_t i = 0; i < results.size(); ++i)
    if (auto wrong = difference(results[i], reference[i], flags.tolerance)) {
      say(stderr, "gradc: error: %{}: {} against {}: {}\n", names[i], flags.backend, flags.compare, *wrong);
      exit = ExitCode::Mismatch;
    }
  return exit;
}

/// Also says how long it takes, where that is asked for.
std::optional<std::vector<Tensor>> runOn(std::string_view name, RunRequest request, bool time,
                                         ExitCode &exit) {
  const Backend *backend = findBackend(name);
  if (!backend) {
    exit = fail({ExitCode::Device, fmt::format("there is no backend '{}' in this build", name)});
    return std::nullopt;
  }
  RunTimes times;
  request.times = time ? &times : nullptr;
  Diagnostics diag;
  auto results = backend->run(request, diag);
  exit = finish(diag);
  if (results) {
    if (time)
      say(stderr, "{}: {}\n", name, times.text());
    return std::move(*results);
  }
  if (exit == ExitCode::Ok)
    exit = fail(results.error());
  return std::nullopt;
}

std::string functionName(const RunFlags &flags) {
  return flags.function.empty() && isModelFile(flags.model.file) ? "infer" : flags.function;
}

/// A model's batch size is --batch, else that of the inputs, else 1.
std::optional<Module> loadForRun(const RunFlags &flags, ExitCode &exit) {
  std::optional<int64_t> batch = flags.model.overrides.batchSize;
  const Purpose purpose = purposeOf(functionName(flags));
  if (batch || !isModelFile(flags.model.file))
    return loadModule(flags.model, batch, purpose, exit);
  std::optional<Module> one = loadModule(flags.model, 1, purpose, exit);
  const Function *fn = one ? one->function(functionName(flags)) : nullptr;
  int64_t given = fn ? batchOfInputs(*fn, flags.arguments) : 1;
  return given == 1 ? std::move(one) : loadModule(flags.model, given, purpose, exit);
}

ExitCode runRun(const RunFlags &flags) {
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module = loadForRun(flags, exit);
  if (!module)
    return exit;
  const Function *fn = chooseFunction(*module, functionName(flags), exit);
  if (!fn)
    return exit;
  StatusOr<std::vector<Tensor>> values = makeArguments(*fn, flags.arguments);
  if (!values)
    return fail(values.error());
  const RunRequest request{*module,        *fn, *values, static_cast<int>(flags.threads), flags.inMemory,
                           flags.precision};
  auto results = runOn(flags.backend, request, flags.time, exit);
  if (!results)
    return exit;
  if (!flags.compare.empty()) {
    auto reference = runOn(flags.compare, request, flags.time, exit);
    if (!reference)
      return exit;
    exit = compareResults(*fn, *results, *reference, flags);
  }
  if (Status written = writeResults(*fn, *results, flags.output); !written.ok())
    return fail(written);
  return exit;
}

Options backendOptions(RunFlags &flags) {
  return {{.name = "--backend", .target = &flags.backend, .doc = "interp, cpu or cuda"},
          {.name = "--compare",
           .target = &flags.compare,
           .doc = "Run on this backend too; exit 4 where results differ"},
          {.name = "--rtol", .target = &flags.tolerance.relative, .doc = "Relative tolerance of --compare"},
          {.name = "--atol", .target = &flags.tolerance.absolute, .doc = "Absolute tolerance of --compare"},
          {.name = "--threads",
           .target = &flags.threads,
           .doc = "Threads of the backend",
           .least = 1,
           .most = 1024}};
}

} // namespace

Command runCommand() {
  auto flags = std::make_shared<RunFlags>();
  return {.name = "run",
          .doc = "Run a function of IR text or of a model",
          .options = modelOptions(flags->model) +
                     Options{{.name = "--func",
                              .target = &flags->function,
                              .doc = "Which function (default: infer of a model, the only one of IR)"},
                             {.name = "--time",
                              .target = &flags->time,
                              .doc = "Also say how long the function takes, on stderr: it runs on for a "
                                     "second, with the variables it has updated"},
                             {.name = "--output",
                              .target = &flags->output,
                              .doc = "Write the results to a .npz (or, one result, .npy) file"}} +
                     argumentOptions(flags->arguments) + backendOptions(*flags) +
                     precisionOption(flags->precision) +
                     Options{{.name = "--memory",
                              .target = &flags->inMemory,
                              .doc = "interp: run at the addresses that plan-memory chose"}},
          .run = [flags] {
            flags->arguments.seed = flags->model.overrides.seed.value_or(0);
            return runRun(*flags);
          }};
}

} // namespace gradc
