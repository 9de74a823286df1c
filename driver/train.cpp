// gradc train: trains a model on its data. The command itself is runtime/commands/train.cpp.
#include <memory>

#include "driver/command_line.h"
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

Command trainCommand() {
  auto flags = std::make_shared<Flags>();
  return {.name = "train",
          .doc = "Train a model on its data",
          .options =
              sessionOptions(flags->session) + dataOptions(flags->session) + trainOptions(flags->command),
          .run = [flags] { return runTrain(*flags); }};
}

} // namespace gradc
