// gradc opt: runs passes on IR text. The tool that tests of passes use.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "driver/command_line.h"
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

Command optCommand() {
  auto flags = std::make_shared<OptFlags>();
  return {.name = "opt",
          .doc = "Run passes on IR text",
          .options = Options{{.name = "file",
                              .target = &flags->file,
                              .type = "FILE",
                              .doc = "A .gir file; - is standard input"},
                             {.name = "-o,--output",
                              .target = &flags->output,
                              .type = "FILE",
                              .doc = "Where the result goes; - is standard output"},
                             {.name = "--passes",
                              .target = &flags->passes,
                              .doc = "What to run, as 'expand,autodiff{wrt=[@w]},fuse{max=8}'"},
                             {.name = "--split-input-file",
                              .target = &flags->splitInput,
                              .doc = "Treat parts between '// -----' lines as modules"},
                             {.name = "--verify-diagnostics",
                              .target = &flags->verifyDiagnostics,
                              .doc = "Compare diagnostics with the file's expected-error comments"},
                             {.name = "--list-passes",
                              .target = &flags->listPasses,
                              .doc = "List the passes, what they do to bits, their options"}} +
                     compileOptions(flags->compile),
          .run = [flags] { return runOpt(*flags); }};
}

} // namespace gradc
