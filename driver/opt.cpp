// gradc opt: runs passes on IR text. The tool that tests of passes use.
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/commands.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "driver/verify_diagnostics.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "support/say.h"

namespace gradc {
namespace {

struct OptFlags {
  std::string file = "-", output = "-", passes;
  bool splitInput = false, verifyDiagnostics = false, listPasses = false;
  CompileFlags compile;
};

std::string_view exactnessName(Exactness exactness) {
  constexpr std::string_view names[] = {"exact", "rounding", "meaning"};
  return names[static_cast<size_t>(exactness)];
}

void listPasses() {
  for (const PassDef *pass : allPasses()) {
    say("{:14}{:10}{}\n", pass->name, exactnessName(pass->exactness), pass->doc);
    for (const PassOption &option : pass->options)
      say("{:14}{:10}  {} = {}: {}\n", "", "", option.name,
          option.defaultValue.as<Unit>() ? "(none)" : toString(option.defaultValue), option.doc);
  }
}

/// Parses, verifies, runs the passes; appends the module's text to `out`.
Result<void> optimize(const OptFlags &flags, std::string_view text, uint32_t firstLine,
                      const Pipeline &pipeline, PassManager &manager, Diagnostics &diag, std::string &out) {
  Result<Module> module = parseModule(text, displayName(flags.file), diag, firstLine);
  if (!module)
    return std::unexpected(module.error());
  if (auto verified = verify(*module, diag); !verified)
    return verified;
  if (auto ran = manager.run(*module, pipeline, diag); !ran)
    return ran;
  if (!out.empty())
    out += "// -----\n";
  out += print(*module, {.locations = flags.compile.passes.printLocations});
  return {};
}

ExitCode runOpt(const OptFlags &flags) {
  if (flags.listPasses) {
    listPasses();
    return ExitCode::Ok;
  }
  Diagnostics usage;
  Result<Pipeline> pipeline = parsePipeline(flags.passes, usage);
  if (!pipeline) {
    (void)finish(usage);
    return ExitCode::Usage;
  }
  StatusOr<std::string> text = readInput(flags.file);
  if (!text)
    return fail(text.error());

  PassManager manager(flags.compile.passes);
  std::vector<Chunk> chunks{{*text, 1}};
  if (flags.splitInput)
    chunks = splitChunks(*text);
  std::string out;
  ExitCode exit = ExitCode::Ok;
  for (const Chunk &chunk : chunks) {
    Diagnostics diag;
    // A failure is in `diag`, which decides below.
    (void)optimize(flags, chunk.text, chunk.firstLine, *pipeline, manager, diag, out);
    if (!flags.verifyDiagnostics) {
      if (ExitCode code = finish(diag); code != ExitCode::Ok)
        exit = code;
      continue;
    }
    for (const std::string &problem :
         compareDiagnostics(chunk.text, displayName(flags.file), chunk.firstLine, diag)) {
      say(stderr, "{}\n", problem);
      exit = ExitCode::InvalidInput;
    }
  }
  printReports(flags.compile, manager);
  if (Status written = writeOutput(flags.output, out); !written.ok())
    return fail(written);
  return exit;
}

} // namespace

void registerOpt(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<OptFlags>();
  CLI::App *command = app.add_subcommand("opt", "Run passes on IR text");
  command->add_option("file", flags->file, "A .gir file; - is standard input")->type_name("FILE");
  command->add_option("-o,--output", flags->output, "Where the result goes; - is standard output")
      ->type_name("FILE");
  command->add_option("--passes", flags->passes, "What to run, as 'expand,autodiff{wrt=[@w]},fuse{max=8}'");
  command->add_flag("--split-input-file", flags->splitInput,
                    "Treat parts between '// -----' lines as modules");
  command->add_flag("--verify-diagnostics", flags->verifyDiagnostics,
                    "Compare diagnostics with the file's expected-error comments");
  command->add_flag("--list-passes", flags->listPasses,
                    "List the passes, what they do to bits, their options");
  addCompileFlags(*command, flags->compile);
  command->callback([flags, &exit] { exit = runOpt(*flags); });
}

} // namespace gradc
