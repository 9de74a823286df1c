// gradc predict: the classes of single examples. The command itself is runtime/commands/predict.cpp.
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

void registerPredict(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<Flags>();
  CLI::App *command = app.add_subcommand("predict", "The classes of single examples");
  addSessionFlags(*command, flags->session);
  declareOptions(*command, predictOptions(flags->command));
  command->callback([flags, &exit] { exit = runPredict(*flags); });
}

} // namespace gradc
