// gradc predict: the classes of single examples. The command itself is runtime/commands/predict.cpp.
#include <memory>

#include "driver/command_line.h"
#include "driver/session.h"
#include "runtime/commands/commands.h"

namespace gradc {
namespace {

struct Flags {
  SessionFlags session;
  PredictFlags command;
};

ExitCode runPredict(const Flags &flags) {
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  const Status status = predict(*session, flags.command);
  return status.ok() ? ExitCode::Ok : fail(status);
}

} // namespace

Command predictCommand() {
  auto flags = std::make_shared<Flags>();
  return {.name = "predict",
          .doc = "The classes of single examples",
          .options = sessionOptions(flags->session) + predictOptions(flags->command),
          .run = [flags] { return runPredict(*flags); }};
}

} // namespace gradc
