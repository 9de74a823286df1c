// gradc compile: a model as an executable; a model or IR text as planned IR, as LLVM IR or as assembly.
#include <algorithm>
#include <map>
#include <memory>
#include <ranges>

#include <fmt/format.h>

#include "codegen/cpu/cross_target.h"
#include "codegen/cuda/program.h"
#include "codegen/program.h"
#include "driver/command_line.h"
#include "driver/compile_artifact.h"
#include "driver/compile_flags.h"
#include "driver/cuda_report.h"
#include "driver/dot.h"
#include "driver/io.h"
#include "driver/load_module.h"
#include "driver/plan_function.h"
#include "ir/text.h"

namespace gradc {
namespace {

struct CompileCommandFlags : CodeFlags {
  ModelFlags model;
  std::string output = "-", emit, entry, stage;
  std::vector<std::string> architectures; // --arch
  CompileFlags compile;
  ArtifactFlags artifact;
};

constexpr std::string_view kArtifacts[] = {"exe", "obj", "shared", "header"};
constexpr std::string_view kCudaForms[] = {"cuda", "ptx", "cubin"};

/// What the names of the files say where --emit does not.
std::string formOf(const std::string &input, const std::string &output) {
  constexpr std::pair<std::string_view, const char *> kForms[] = {
      {".gir", "gir"},  {".dot", "dot"},   {".ll", "llvm"}, {".s", "asm"},   {".o", "obj"},
      {".h", "header"}, {".so", "shared"}, {".cu", "cuda"}, {".ptx", "ptx"}, {".cubin", "cubin"}};
  for (const auto &[ending, form] : kForms)
    if (output.ends_with(ending))
      return form;
  return output == "-" || !isModelFile(input) ? "gir" : "exe";
}

/// --report: a table of every function instead of its code.
StatusOr<std::string> reportModule(const Module &module, const CudaTarget &target) {
  std::string text;
  for (const auto &fn : module.functions) {
    StatusOr<std::string> report = cudaReport(module, *fn, target);
    if (!report)
      return report;
    text += *report;
  }
  return text;
}

StatusOr<std::string> emitCuda(const Module &module, const Function &fn, const std::string &form,
                               const CudaTarget &target) {
  const std::string text = emitCudaText(module, fn, target);
  if (form == "cuda" || text.empty())
    return text;
  return compileCudaText(text, target.architecture, form == "ptx" ? CudaCodeForm::Ptx : CudaCodeForm::Cubin,
                         nullptr);
}

StatusOr<std::string> emitModule(const Module &module, const CompileCommandFlags &flags,
                                 const CodeTarget &target) {
  if (flags.emit == "dot")
    return toDot(module);
  if (flags.emit == "gir")
    return print(module, {.locations = flags.compile.passes.printLocations});
  const auto *cpu = std::get_if<CpuTarget>(&target);
  std::string text;
  for (const auto &fn : module.functions) {
    StatusOr<std::string> code =
        cpu ? emitText(module, *fn, *cpu, flags.emit == "llvm" ? CodeText::Llvm : CodeText::Assembly,
                       flags.artifact.debug)
            : emitCuda(module, *fn, flags.emit, std::get<CudaTarget>(target));
    if (!code)
      return code;
    text += *code;
  }
  return text;
}

/// --arch of --device cuda: ascending, each once.
StatusOr<std::vector<CudaTarget>> parseArchitectures(const std::vector<std::string> &names,
                                                     CublasUse cublas) {
  if (names.empty())
    return failure(ExitCode::Usage, "--device cuda needs --arch, such as sm_90: no device is asked");
  std::map<int, CudaTarget> targets;
  for (const std::string &name : names) {
    StatusOr<CudaTarget> target = parseCudaTarget(name);
    if (!target)
      return std::unexpected(target.error());
    target->cublas = cublas;
    targets.emplace(target->architecture, *target);
  }
  const auto values = std::views::values(targets);
  return std::vector<CudaTarget>(values.begin(), values.end());
}

/// What cannot be together in a file for machines.
Status checkArtifact(const CompileCommandFlags &flags) {
  const bool exe = flags.emit == "exe", cuda = flags.device == "cuda";
  const auto wrong = [](std::string text) { return Status{ExitCode::Usage, std::move(text)}; };
  if (flags.output == "-")
    return wrong(fmt::format("--emit {} needs -o FILE", flags.emit));
  if (!isModelFile(flags.model.file))
    return wrong(fmt::format("--emit {} needs a model file, but got '{}'", flags.emit, flags.model.file));
  if (flags.entry != "train" && flags.entry != "eval" && flags.entry != "infer")
    return wrong(fmt::format("--emit {} needs --entry train, eval or infer", flags.emit));
  if (!flags.artifact.triple.empty() && exe)
    return wrong("--target is for objects: the runtime of executables is this machine's");
  if (cuda && !exe)
    return wrong(fmt::format(
        "--emit {} is for processors: its functions allocate nothing and keep nothing open, but a "
        "CUDA device needs both; --emit exe has programs for devices, --emit cubin the kernels",
        flags.emit));
  if (cuda && flags.artifact.isStatic)
    return wrong("--static links no shared library, but the CUDA driver is one: leave it out");
  if (!cuda && !flags.architectures.empty())
    return wrong("--arch needs --device cuda");
  return okStatus();
}

ExitCode runArtifact(CompileCommandFlags flags) {
  if (Status checked = checkArtifact(flags); !checked.ok())
    return fail(checked);
  if (flags.device == "cuda") {
    StatusOr<std::vector<CudaTarget>> targets = parseArchitectures(flags.architectures, flags.compile.cublas);
    if (!targets)
      return fail(targets.error());
    flags.artifact.cuda = std::move(*targets);
  }
  flags.artifact.processors = {flags.mcpu};
  if (flags.artifact.multiVersioned)
    flags.artifact.processors = {"x86-64-v4", "x86-64-v3", "x86-64-v2"};
  flags.artifact.emit = flags.emit;
  flags.artifact.entry = flags.entry;
  return compileArtifact(flags.model, flags.compile, flags.artifact, flags.output);
}

/// What the code is for, once flags that do not belong together are refused.
StatusOr<CodeTarget> chooseTarget(const CompileCommandFlags &flags) {
  const bool cudaForm = std::ranges::find(kCudaForms, flags.emit) != std::end(kCudaForms);
  if (flags.device == "cpu") {
    if (cudaForm || !flags.architectures.empty())
      return failure(ExitCode::Usage, "--emit cuda, ptx and cubin and --arch need --device cuda");
    StatusOr<CpuTarget> target = flags.artifact.triple.empty()
                                     ? parseCpuTarget(flags.mcpu)
                                     : parseTarget(flags.artifact.triple, flags.mcpu);
    return target ? StatusOr<CodeTarget>(*target) : std::unexpected(target.error());
  }
  if (!cudaForm && flags.emit != "gir" && flags.emit != "dot")
    return failure(
        ExitCode::Usage,
        fmt::format("--device cuda has --emit exe, gir, dot, cuda, ptx and cubin, but got {}", flags.emit));
  StatusOr<std::vector<CudaTarget>> targets = parseArchitectures(flags.architectures, flags.compile.cublas);
  if (!targets)
    return std::unexpected(targets.error());
  if (targets->size() > 1)
    return failure(ExitCode::Usage,
                   fmt::format("--emit {} is for one --arch; --emit exe takes several", flags.emit));
  return targets->front();
}

ExitCode runCompile(CompileCommandFlags flags) {
  if (flags.emit.empty())
    flags.emit = formOf(flags.model.file, flags.output);
  const bool artifact = std::ranges::find(kArtifacts, flags.emit) != std::end(kArtifacts);
  if (!flags.artifact.batches.empty() &&
      !(artifact && flags.entry == "infer")) // which leaves the training as it is
    flags.model.overrides.batchSize = flags.artifact.batches.front();
  if (artifact)
    return runArtifact(std::move(flags));
  if (flags.entry == "train" && !artifact)
    return fail({ExitCode::Usage, "--entry train is for executables; --entry train-step is the function"});
  StatusOr<CodeTarget> target = chooseTarget(flags);
  if (!target)
    return fail(target.error());
  if (Status can = checkPrecision(flags.compile.precision, *target); !can.ok())
    return fail(can);
  if (!flags.stage.empty() && flags.emit != "gir" && flags.emit != "dot")
    return fail({ExitCode::Usage, "--stage needs --emit gir or dot: only the last stage has code"});
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module = loadModule(flags.model, std::nullopt, purposeOf(flags.entry), exit);
  if (!module)
    return exit;
  std::optional<Source> source = chooseSource(*module, flags.entry, flags.function, exit);
  if (!source)
    return exit;
  Diagnostics diag;
  PassManager manager(flags.compile.passes);
  auto planned = planFunction(*module, source->function, source->train, flags.stage, *target, manager, diag,
                              flags.compile);
  printReports(flags.compile, manager);
  exit = finish(diag);
  if (!planned)
    return exit;
  if (source->train && module->function("train_step") && module->functions.size() > 1)
    for (std::string name : {"loss", "loss.grad"})
      if (module->function(name))
        module->removeFunction(name);
  StatusOr<std::string> text = flags.device == "cuda" && flags.artifact.report
                                   ? reportModule(*module, std::get<CudaTarget>(*target))
                                   : emitModule(*module, flags, *target);
  if (!text)
    return fail(text.error());
  Status written = writeOutput(flags.output, *text);
  return written.ok() ? exit : fail(written);
}

/// What is made, for what.
Options resultOptions(CompileCommandFlags &flags) {
  return {
      {.name = "--batch",
       .target = &flags.artifact.batches,
       .type = "N",
       .doc = "Batch size (default: the model's train.batch_size); of last batches, too: 64,48",
       .least = 1,
       .most = int64_t{1} << 30,
       .commas = true},
      {.name = "-o,--output",
       .target = &flags.output,
       .type = "FILE",
       .doc = "Where the result goes; - is standard output"},
      {.name = "--emit",
       .target = &flags.emit,
       .doc = "exe, obj, shared, header, gir (the planned IR), dot (a graph), llvm, asm; "
              "cuda, ptx, cubin (default: by the name of FILE)",
       .choices = {"exe", "obj", "shared", "header", "gir", "dot", "llvm", "asm", "cuda", "ptx", "cubin"}},
      {.name = "--entry",
       .target = &flags.entry,
       .doc = "What to compile",
       .choices = {"train", "eval", "infer", "loss", "train-step"}},
      {.name = "--arch",
       .target = &flags.architectures,
       .type = "ARCH",
       .doc = "CUDA: the architecture, sm_75 to sm_120; executables take several: sm_80,sm_90",
       .commas = true},
      {.name = "--stage", .target = &flags.stage, .doc = "Stop after this pass"}};
}

} // namespace

Command compileCommand() {
  auto flags = std::make_shared<CompileCommandFlags>();
  return {.name = "compile",
          .doc = "Compile a function of a model or of IR text",
          .options = modelOptionsButBatch(flags->model) + resultOptions(*flags) + codeOptions(*flags) +
                     artifactOptions(flags->artifact) + compileOptions(flags->compile),
          .run = [flags] { return runCompile(*flags); }};
}

} // namespace gradc
