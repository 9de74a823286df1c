// The gradc command: a thin main over the libraries.
#include <cstdio>
#include <cstdlib>
#include <new>

#include <fmt/format.h>

#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "support/say.h"

namespace gradc {

Command trainCommand();
Command evalCommand();
Command predictCommand();
Command benchCommand();
Command doctorCommand();
Command runCommand();
Command compileCommand();
Command explainCommand();
Command optCommand();
Command diffCommand();
Command gradcheckCommand();
Command checkCommand();
Command opsCommand();
Command schemaCommand();
Command completionCommand(const std::vector<Command> &commands);

namespace {

[[noreturn]] void outOfMemory() {
  std::fputs("gradc: error: out of memory\n", stderr);
  std::_Exit(static_cast<int>(ExitCode::Internal));
}

int run(int argc, const char *const *argv) {
  // In the order of --help.
  std::vector<Command> commands = {
      trainCommand(),   evalCommand(),    predictCommand(), benchCommand(),  runCommand(),
      compileCommand(), explainCommand(), optCommand(),     diffCommand(),   gradcheckCommand(),
      checkCommand(),   opsCommand(),     doctorCommand(),  schemaCommand(),
  };
  commands.push_back(completionCommand(commands));
  const std::string version = fmt::format("gradc {} (LLVM {}, {} {})", GRADC_VERSION, GRADC_LLVM_VERSION,
                                          GRADC_SYSTEM, GRADC_BUILD_TYPE);
  ExitCode exit = runCommandLine(commands, version, argc, argv);
  const Status written = finishOutput();
  if (exit == ExitCode::Ok && !written.ok())
    exit = fail(written);
  return static_cast<int>(exit);
}

} // namespace
} // namespace gradc

int main(int argc, char **argv) {
  std::set_new_handler(gradc::outOfMemory);
  return gradc::run(argc, argv);
}
