// The gradc command: a thin main over the libraries.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/commands.h"
#include "driver/usage.h"

namespace gradc {
namespace {

constexpr std::array<RegisterCommand, 0> kCommands = {};

[[noreturn]] void outOfMemory() {
  std::fputs("gradc: error: out of memory\n", stderr);
  std::_Exit(static_cast<int>(ExitCode::Internal));
}

int run(int argc, const char *const *argv) {
  CLI::App app("gradc compiles and trains neural networks", "gradc");
  app.set_version_flag("--version", fmt::format("gradc {} (LLVM {}, {} {})", GRADC_VERSION, GRADC_LLVM_VERSION,
                                                GRADC_SYSTEM, GRADC_BUILD_TYPE));
  app.require_subcommand(1);
  ExitCode exit = ExitCode::Ok;
  for (RegisterCommand registerCommand : kCommands)
    registerCommand(app, exit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return static_cast<int>(reportUsage(app, error));
  }
  return static_cast<int>(exit);
}

} // namespace
} // namespace gradc

int main(int argc, char **argv) {
  std::set_new_handler(gradc::outOfMemory);
  return gradc::run(argc, argv);
}
