// The main of stand-alone executables: train, eval and predict with the flags, files and exit codes of gradc's.
#include <cstdio>
#include <new>
#include <vector>

#include <fmt/format.h>

#include "runtime/commands/commands.h"
#include "standalone/command_line.h"
#include "standalone/executable.h"
#include "support/say.h"

namespace gradc {
namespace {

using Clock = std::chrono::steady_clock;

struct Invocation {
  Executable &executable;
  TrainFlags train = {};
  EvalFlags eval = {};
  PredictFlags predict = {};
  Clock::time_point start = Clock::now();
};

struct Command {
  std::string_view name, doc;
  ProgramKind needs;
  bool data;
  OptionTable (*options)(Invocation &);
  StatusOr<ExitCode> (*run)(Invocation &);
};

StatusOr<ExitCode> asCode(const Status &status) {
  return status.ok() ? StatusOr<ExitCode>(ExitCode::Ok) : std::unexpected(status);
}

constexpr Command kCommands[] = {
    {"train", "Train the model on its data", ProgramKind::TrainStep, true,
     [](Invocation &i) { return trainOptions(i.train); },
     [](Invocation &i) { return train(i.executable, i.train, i.start); }},
    {"eval", "Loss and metrics of given weights on the test data", ProgramKind::Eval, true,
     [](Invocation &i) { return evalOptions(i.eval, i.executable.hasOwnWeights()); },
     [](Invocation &i) { return asCode(evaluateModel(i.executable, i.eval)); }},
    {"predict", "The classes of single examples", ProgramKind::Infer, false,
     [](Invocation &i) { return predictOptions(i.predict, i.executable.hasOwnWeights()); },
     [](Invocation &i) { return asCode(predict(i.executable, i.predict)); }},
};

OptionTable optionsOf(const Command &command, Invocation &invocation) {
  Executable &executable = invocation.executable;
  OptionTable table = threadOptions(executable.flags);
  const auto append = [&](const OptionTable &more) { table.insert(table.end(), more.begin(), more.end()); };
  if (executable.choosesDevice())
    append(deviceOptions(executable.deviceName));
  append({{.name = "--seed",
           .target = &executable.seed,
           .type = "N",
           .doc = "Seed (default: the model's train.seed)"}});
  if (command.data)
    append(dataOptions(executable.flags));
  append(command.options(invocation));
  return table;
}

/// The last part of the path by which this was called.
std::string_view nameOf(const char *path) {
  const std::string_view text = path ? path : "model";
  return text.substr(text.rfind('/') + 1);
}

ExitCode fail(std::string_view name, const Status &status) {
  say(stderr, "{}: error: {}\n", name, status.text);
  return status.code;
}

std::string overview(std::string_view name, Executable &executable) {
  std::string text =
      fmt::format("The model '{}', compiled by gradc {} for {}\nUsage: {} COMMAND\n\nCommands:\n",
                  executable.facts().name, GRADC_VERSION, executable.targets(), name);
  for (const Command &command : kCommands)
    if (executable.programs().has(command.needs))
      text += fmt::format("  {:<30}{}\n", command.name, command.doc);
  return text + fmt::format("\n'{} COMMAND --help' lists the flags of a command\n", name);
}

ExitCode runCommand(std::string_view name, const Command &command, std::span<const char *const> words,
                    Invocation &invocation) {
  const OptionTable table = optionsOf(command, invocation);
  const std::string whole = fmt::format("{} {}", name, command.name);
  for (std::string_view word : words)
    if (word == "--help" || word == "-h") {
      say("{}", helpText(whole, command.doc, table));
      return ExitCode::Ok;
    }
  if (Status parsed = parseOptions(table, words); !parsed.ok()) {
    const ExitCode code = fail(name, parsed);
    say(stderr, "see '{} --help'\n", whole);
    return code;
  }
  if (Status started = invocation.executable.start(); !started.ok())
    return fail(name, started);
  const StatusOr<ExitCode> code = command.run(invocation);
  return code ? *code : fail(name, code.error());
}

ExitCode run(std::span<const char *const> words) {
  const std::string_view name = nameOf(words.empty() ? nullptr : words[0]);
  StatusOr<std::unique_ptr<Executable>> opened = Executable::open(gradc_model_image);
  if (!opened)
    return fail(name, opened.error());
  Executable &executable = **opened;
  const std::string_view verb = words.size() < 2 ? "" : words[1];
  for (const Command &command : kCommands)
    if (verb == command.name && executable.programs().has(command.needs)) {
      Invocation invocation{executable};
      return runCommand(name, command, words.subspan(2), invocation);
    }
  const bool help = verb == "--help" || verb == "-h";
  if (!help && !verb.empty())
    say(stderr, "{}: error: unknown command '{}'\n", name, verb);
  say(help ? stdout : stderr, "{}", overview(name, executable));
  return help ? ExitCode::Ok : ExitCode::Usage;
}

[[noreturn]] void outOfMemory() {
  std::fputs("error: out of memory\n", stderr);
  std::_Exit(static_cast<int>(gradc::ExitCode::Internal));
}

} // namespace
} // namespace gradc

int main(int argc, char **argv) {
  std::set_new_handler(gradc::outOfMemory);
  const gradc::ExitCode exit = gradc::run({argv, static_cast<size_t>(argc)});
  const gradc::Status written = gradc::finishOutput();
  if (exit == gradc::ExitCode::Ok && !written.ok())
    return static_cast<int>(gradc::fail(gradc::nameOf(argv[0]), written));
  return static_cast<int>(exit);
}
