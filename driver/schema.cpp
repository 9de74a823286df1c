// gradc schema: the JSON Schema of model files.
#include "frontend/schema.h"
#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/io.h"

namespace gradc {

Command schemaCommand() {
  return {.name = "schema",
          .doc = "Print the JSON Schema (draft-07) of model files, for editors",
          .options = {},
          .run = [] {
            const Status written = writeOutput("-", modelSchema());
            return written.ok() ? ExitCode::Ok : fail(written);
          }};
}

} // namespace gradc
