#include "driver/plan_model.h"

#include <algorithm>

#include "passes/pipeline.h"

namespace gradc {

std::string_view functionName(ProgramKind kind) {
  switch (kind) {
  case ProgramKind::TrainStep: return "train_step";
  case ProgramKind::Eval: return "eval";
  case ProgramKind::Infer: return "infer";
  }
  return "";
}

Dict scheduleOptions(const CpuTarget &target) {
  Dict options;
  options.set("registers", int64_t{target.vectorRegisters});
  options.set("bits", int64_t{target.vectorBits});
  options.set("l1", target.l1Bytes);
  options.set("l2", target.l2Bytes);
  return options;
}

Result<Module> planModel(const LoadedModel &model, ProgramKind kind, int64_t batch, const CpuTarget &target,
                         const CompileFlags &flags, Diagnostics &diag) {
  Result<Module> module = model.instantiate(batch, diag);
  if (!module)
    return module;
  const std::string_view source = kind == ProgramKind::TrainStep ? "loss" : functionName(kind);
  if (!module->function(source))
    return std::unexpected(
        diag.error({}, "model '{}' has no {}", model.name, kind == ProgramKind::Infer ? "outputs" : "loss"));
  std::vector<std::string> others;
  for (const auto &function : module->functions)
    if (function->name != source)
      others.push_back(function->name);
  for (const std::string &name : others)
    module->removeFunction(name);

  PassManager manager(flags.passes);
  const Pipeline pipeline =
      buildPipeline({.train = kind == ProgramKind::TrainStep, .schedule = scheduleOptions(target)});
  Result<void> done = manager.run(*module, pipeline, diag);
  printReports(flags, manager);
  if (!done)
    return std::unexpected(done.error());
  return module;
}

} // namespace gradc
