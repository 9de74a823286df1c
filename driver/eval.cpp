// gradc eval: loss and metrics of given weights on data. The command itself is runtime/commands/eval.cpp.
#include <memory>

#include "driver/command_line.h"
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

Command evalCommand() {
  auto flags = std::make_shared<Flags>();
  return {.name = "eval",
          .doc = "Loss and metrics of given weights on the test data",
          .options =
              sessionOptions(flags->session) + dataOptions(flags->session) + evalOptions(flags->command),
          .run = [flags] { return runEval(*flags); }};
}

} // namespace gradc
