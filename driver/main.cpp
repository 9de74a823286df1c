// The gradc command: a thin main over the libraries.
#include <cstdio>
#include <cstdlib>
#include <new>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/commands.h"
#include "driver/compile_flags.h"
#include "driver/help.h"
#include "driver/usage.h"
#include "support/say.h"

namespace gradc {

void registerTrain(CLI::App &app, ExitCode &exit);
void registerEval(CLI::App &app, ExitCode &exit);
void registerPredict(CLI::App &app, ExitCode &exit);
void registerBench(CLI::App &app, ExitCode &exit);
void registerDoctor(CLI::App &app, ExitCode &exit);
void registerRun(CLI::App &app, ExitCode &exit);
void registerCompile(CLI::App &app, ExitCode &exit);
void registerExplain(CLI::App &app, ExitCode &exit);
void registerOpt(CLI::App &app, ExitCode &exit);
void registerDiff(CLI::App &app, ExitCode &exit);
void registerGradcheck(CLI::App &app, ExitCode &exit);
void registerCheck(CLI::App &app, ExitCode &exit);
void registerOps(CLI::App &app, ExitCode &exit);
void registerSchema(CLI::App &app, ExitCode &exit);

namespace {

// In the order of --help. One line each, so that two additions do not collide.
constexpr RegisterCommand kCommands[] = {
    registerTrain,   registerEval,    registerPredict, registerBench,  registerRun,
    registerCompile, registerExplain, registerOpt,     registerDiff,   registerGradcheck,
    registerCheck,   registerOps,     registerDoctor,  registerSchema,
};

[[noreturn]] void outOfMemory() {
  std::fputs("gradc: error: out of memory\n", stderr);
  std::_Exit(static_cast<int>(ExitCode::Internal));
}

int run(int argc, const char *const *argv) {
  CLI::App app("gradc compiles and trains neural networks", "gradc");
  app.set_version_flag("--version", fmt::format("gradc {} (LLVM {}, {} {})", GRADC_VERSION,
                                                GRADC_LLVM_VERSION, GRADC_SYSTEM, GRADC_BUILD_TYPE));
  app.formatter(helpFormatter()); // before the commands, which inherit it
  app.require_subcommand(1);
  ExitCode exit = ExitCode::Ok;
  for (RegisterCommand registerCommand : kCommands)
    registerCommand(app, exit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    exit = reportUsage(app, error);
  }
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
