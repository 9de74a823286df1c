// gradc compile: a model or IR text as planned IR, as LLVM IR or as assembly.
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "codegen/program.h"
#include "driver/commands.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "driver/load_module.h"
#include "driver/plan_function.h"
#include "ir/text.h"

namespace gradc {
namespace {

struct CompileCommandFlags {
  ModelFlags model;
  std::string output = "-", emit = "gir", entry, function, mcpu = "native", stage;
  CompileFlags compile;
};

StatusOr<std::string> emitModule(const Module &module, const CompileCommandFlags &flags,
                                 const CpuTarget &target) {
  if (flags.emit == "gir")
    return print(module, {.locations = flags.compile.passes.printLocations});
  std::string text;
  for (const auto &fn : module.functions) {
    StatusOr<std::string> code =
        emitText(module, *fn, target, flags.emit == "llvm" ? CodeText::Llvm : CodeText::Assembly);
    if (!code)
      return code;
    text += *code;
  }
  return text;
}

ExitCode runCompile(const CompileCommandFlags &flags) {
  StatusOr<CpuTarget> target = parseCpuTarget(flags.mcpu);
  if (!target)
    return fail(target.error());
  if (!flags.stage.empty() && flags.emit != "gir")
    return fail({ExitCode::Usage, "--stage needs --emit gir: only the last stage has code"});
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module = loadModule(flags.model, std::nullopt, exit);
  if (!module)
    return exit;
  std::optional<Source> source = chooseSource(*module, flags.entry, flags.function, exit);
  if (!source)
    return exit;
  Diagnostics diag;
  PassManager manager(flags.compile.passes);
  auto planned = planFunction(*module, source->function, source->train, flags.stage, *target, manager, diag);
  printReports(flags.compile, manager);
  exit = finish(diag);
  if (!planned)
    return exit;
  if (source->train && module->function("train_step") && module->functions.size() > 1)
    for (std::string name : {"loss", "loss.grad"})
      if (module->function(name))
        module->removeFunction(name);
  StatusOr<std::string> text = emitModule(*module, flags, *target);
  if (!text)
    return fail(text.error());
  Status written = writeOutput(flags.output, *text);
  return written.ok() ? exit : fail(written);
}

} // namespace

void registerCompile(CLI::App &app, ExitCode &exit) {
  auto flags = std::make_shared<CompileCommandFlags>();
  CLI::App *command = app.add_subcommand("compile", "Compile a function of a model or of IR text");
  addModelFlags(*command, flags->model);
  command->add_option("-o,--output", flags->output, "Where the result goes; - is standard output")
      ->type_name("FILE");
  command->add_option("--emit", flags->emit, "gir (the planned IR), llvm or asm")
      ->check(CLI::IsMember({"gir", "llvm", "asm"}));
  command->add_option("--entry", flags->entry, "What to compile")
      ->check(CLI::IsMember({"infer", "eval", "loss", "train-step"}));
  command->add_option("--func", flags->function,
                      "The function of IR text; not needed where there is only one");
  command->add_option("--mcpu", flags->mcpu, "Processor: native, or a name as haswell");
  command->add_option("--stage", flags->stage, "Stop after this pass");
  addCompileFlags(*command, flags->compile);
  command->callback([flags, &exit] { exit = runCompile(*flags); });
}

} // namespace gradc
