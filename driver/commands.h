// The commands of gradc. Each is one file driver/<command>.cpp whose register function declares its flags on the
// application and leaves its exit code in `exit` when it has run; main.cpp lists them in the order of --help.
//
//   void registerCheck(CLI::App &app, ExitCode &exit) {
//     auto flags = std::make_shared<CheckFlags>();
//     CLI::App *command = app.add_subcommand("check", "Parse and verify a model");
//     command->add_option("model", flags->model, "…")->required();
//     command->callback([flags, &exit] { exit = runCheck(*flags); });
//   }
//
// Files are opened by the command, not by CLI11's validators: a file that cannot be read is exit 5, never a
// usage error.
#pragma once

#include "support/result.h"

namespace CLI {
class App;
}

namespace gradc {

using RegisterCommand = void (*)(CLI::App &app, ExitCode &exit);

} // namespace gradc
