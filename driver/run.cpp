// gradc run: runs one function on given or made-up arguments, and compares backends.
#include <algorithm>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/backend.h"
#include "driver/commands.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "driver/load_module.h"
#include "driver/values.h"
#include "ir/text.h"

namespace gradc {
namespace {

struct RunFlags {
  std::string file, function, output, fill, backend = "interp", compare;
  std::vector<std::string> inputs;
  Tolerance tolerance{1e-5, 1e-6};
  uint64_t seed = 0;
  int threads = 1;
  bool inMemory = false;
};

/// Values by argument name, from --input name=literal, name=file.npy or file.npz.
StatusOr<Tensor> readInputValue(const std::string &value, const Type &type) {
  if (!value.ends_with(".npy"))
    return parseLiteral(value, type);
  StatusOr<NpyArray> array = readNpy(value);
  if (!array)
    return std::unexpected(array.error());
  return fromNpy(*array, type);
}

class Arguments {
public:
  Arguments(const Function &fn, const RunFlags &flags)
      : fn_(fn), flags_(flags), values_(fn.body().args.size()) {}

  Status fill() {
    for (const std::string &input : flags_.inputs)
      if (Status given = input.ends_with(".npz") && input.find('=') == std::string::npos ? takeNpz(input) : take(input);
          !given.ok())
        return given;
    std::string missing;
    for (size_t i = 0; i < values_.size(); ++i) {
      const ValueData &arg = fn_[fn_.body().args[i]];
      if (values_[i])
        continue;
      if (flags_.fill.empty())
        missing += (missing.empty() ? "%" : ", %") + arg.name;
      else
        values_[i] = filled(arg.type, fillKind(), flags_.seed, i);
    }
    if (!missing.empty())
      return {ExitCode::Usage, fmt::format("no value for {}; give --input name=… or --fill random", missing)};
    return okStatus();
  }

  std::vector<Tensor> take() {
    std::vector<Tensor> tensors;
    for (auto &value : values_)
      tensors.push_back(std::move(*value));
    return tensors;
  }

private:
  Fill fillKind() const {
    return flags_.fill == "zeros" ? Fill::Zeros : flags_.fill == "ones" ? Fill::Ones : Fill::Random;
  }

  StatusOr<size_t> find(const std::string &name) const {
    std::vector<std::string_view> names;
    for (ValueId arg : fn_.body().args)
      names.push_back(fn_[arg].name);
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == name)
        return i;
    return failure(ExitCode::Usage, fmt::format("@{} has no argument '{}'{}", fn_.name, name, proposal(name, names)));
  }

  Status take(const std::string &input) {
    size_t equals = input.find('=');
    if (equals == std::string::npos)
      return {ExitCode::Usage, fmt::format("--input is name=value, but got '{}'", input)};
    StatusOr<size_t> at = find(input.substr(0, equals));
    if (!at)
      return at.error();
    StatusOr<Tensor> tensor = readInputValue(input.substr(equals + 1), fn_.type(fn_.body().args[*at]));
    if (!tensor)
      return {tensor.error().code, fmt::format("--input {}: {}", input.substr(0, equals), tensor.error().text)};
    values_[*at] = std::move(*tensor);
    return okStatus();
  }

  Status takeNpz(const std::string &path) {
    StatusOr<NpzArrays> arrays = readNpz(path);
    if (!arrays)
      return arrays.error();
    for (const auto &[name, array] : *arrays) {
      StatusOr<size_t> at = find(name);
      if (!at)
        return at.error();
      StatusOr<Tensor> tensor = fromNpy(array, fn_.type(fn_.body().args[*at]));
      if (!tensor)
        return {tensor.error().code, fmt::format("{}: {}: {}", path, name, tensor.error().text)};
      values_[*at] = std::move(*tensor);
    }
    return okStatus();
  }

  const Function &fn_;
  const RunFlags &flags_;
  std::vector<std::optional<Tensor>> values_;
};

/// What a result is called: its variable, output or metric where it has one, which passes keep, else its value's
/// name.
std::string resultName(const Function &fn, size_t i) {
  for (std::string_view key : {"var", "output", "metric", "grad"})
    if (i < fn.resultAttrs.size() && fn.resultAttrs[i].has(key)) {
      std::string name = fn.resultAttrs[i].str(key);
      return key == "grad" ? name + ".grad" : name;
    }
  for (std::string_view key : {"loss", "count"})
    if (i < fn.resultAttrs.size() && fn.resultAttrs[i].has(key))
      return std::string(key);
  return fn[fn.body().yields[i]].name;
}

/// A name that comes again gets a number.
std::vector<std::string> resultNames(const Function &fn) {
  std::vector<std::string> names;
  for (size_t i = 0; i < fn.body().yields.size(); ++i) {
    std::string base = resultName(fn, i), name = base;
    for (int k = 1; std::ranges::find(names, name) != names.end(); ++k)
      name = fmt::format("{}:{}", base, k);
    names.push_back(name);
  }
  return names;
}

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

ExitCode compareResults(const Function &fn, const std::vector<Tensor> &results, const std::vector<Tensor> &reference,
                        const RunFlags &flags) {
  std::vector<std::string> names = resultNames(fn);
  ExitCode exit = ExitCode::Ok;
  for (size_t i = 0; i < results.size(); ++i)
    if (auto wrong = difference(results[i], reference[i], flags.tolerance)) {
      fmt::print(stderr, "gradc: error: %{}: {} against {}: {}\n", names[i], flags.backend, flags.compare, *wrong);
      exit = ExitCode::Mismatch;
    }
  return exit;
}

std::optional<std::vector<Tensor>> runOn(std::string_view name, const RunRequest &request, ExitCode &exit) {
  const Backend *backend = findBackend(name);
  if (!backend) {
    exit = fail({ExitCode::Device, fmt::format("there is no backend '{}' in this build", name)});
    return std::nullopt;
  }
  Diagnostics diag;
  auto results = backend->run(request, diag);
  exit = finish(diag);
  if (!results)
    return std::nullopt;
  return std::move(*results);
}

ExitCode runRun(const RunFlags &flags) {
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module = loadGir(flags.file, exit);
  if (!module)
    return exit;
  const Function *fn = chooseFunction(*module, flags.function, exit);
  if (!fn)
    return exit;
  Arguments arguments(*fn, flags);
  if (Status given = arguments.fill(); !given.ok())
    return fail(given);
  std::vector<Tensor> values = arguments.take();
  RunRequest request{*module, *fn, values, flags.threads, flags.inMemory};
  auto results = runOn(flags.backend, request, exit);
  if (!results)
    return exit;
  if (!flags.compare.empty()) {
    auto reference = runOn(flags.compare, request, exit);
    if (!reference)
      return exit;
    exit = compareResults(*fn, *results, *reference, flags);
  }
  if (Status written = writeResults(*fn, *results, flags.output); !written.ok())
    return fail(written);
  return exit;
}

} // namespace

void registerRun(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App *command = app.add_subcommand("run", "Run a function of IR text or of a model");
  command->add_option("file", flags->file, "A .gir file; - is standard input")->required()->type_name("FILE");
  command->add_option("--func", flags->function, "Which function; not needed where there is only one");
  command->add_option("--input", flags->inputs, "name=[[1,2],[3,4]], name=x.npy or values.npz")
      ->allow_extra_args(false);
  command->add_option("--output", flags->output, "Write the results to a .npz (or, one result, .npy) file");
  command->add_option("--fill", flags->fill, "Value of arguments without --input")
      ->check(CLI::IsMember({"zeros", "ones", "random"}));
  command->add_option("--seed", flags->seed, "Of --fill random");
  command->add_option("--backend", flags->backend, "interp, cpu or cuda");
  command->add_option("--compare", flags->compare, "Run on this backend too; exit 4 where results differ");
  command->add_option("--rtol", flags->tolerance.relative, "Relative tolerance of --compare");
  command->add_option("--atol", flags->tolerance.absolute, "Absolute tolerance of --compare");
  command->add_option("--threads", flags->threads, "Threads of the backend")->check(CLI::Range(1, 1024));
  command->add_flag("--memory", flags->inMemory, "interp: run at the addresses that plan-memory chose");
  command->callback([flags, &exit] { exit = runRun(*flags); });
}

} // namespace gradc
