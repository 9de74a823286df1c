// gradc eval: loss and metrics of given weights on data. The command itself is runtime/commands/eval.cpp.
#include <memory>

#include <CLI/CLI.hpp>

#include "driver/commands.h"
#include "driver/options.h"
#include "driver/session.h"
#include "runtime/commands/commands.h"

namespace gradc {
namespace {

struct Flags {
  SessionFlags session;
  EvalFlags command;
};

ExitCode runEval(const Flags &flags) {
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  const Status status = evaluateModel(*session, flags.command);
  return status.ok() ? ExitCode::Ok : fail(status);
}

} // namespace

void registerEval(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<Flags>();
  CLI::App *command = app.add_subcommand("eval", "Loss and metrics of given weights on the test data");
  addSessionFlags(*command, flags->session);
  addDataFlags(*command, flags->session);
  declareOptions(*command, evalOptions(flags->command));
  command->callback([flags, &exit] { exit = runEval(*flags); });
}

} // namespace gradc
