// gradc train: trains a model on its data. The command itself is runtime/commands/train.cpp.
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
  TrainFlags command;
};

ExitCode runTrain(const Flags &flags) {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  StatusOr<ExitCode> code = train(*session, flags.command, start);
  return code ? *code : fail(code.error());
}

} // namespace

void registerTrain(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<Flags>();
  CLI::App *command = app.add_subcommand("train", "Train a model on its data");
  addSessionFlags(*command, flags->session);
  addDataFlags(*command, flags->session);
  declareOptions(*command, trainOptions(flags->command));
  command->callback([flags, &exit] { exit = runTrain(*flags); });
}

} // namespace gradc
