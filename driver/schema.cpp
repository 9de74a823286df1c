// gradc schema: the JSON Schema of model files.
#include <CLI/CLI.hpp>

#include "driver/commands.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "frontend/schema.h"

namespace gradc {

void registerSchema(CLI::App &app, ExitCode &exit) {
  CLI::App *command =
      app.add_subcommand("schema", "Print the JSON Schema (draft-07) of model files, for editors");
  command->callback([&exit] {
    Status written = writeOutput("-", modelSchema());
    exit = written.ok() ? ExitCode::Ok : fail(written);
  });
}

} // namespace gradc
