#include "driver/plan_model.h"

#include <fmt/format.h>

#include "driver/plan_function.h"
#include "ir/layout.h"

namespace gradc {

std::string_view functionName(ProgramKind kind) {
  switch (kind) {
  case ProgramKind::TrainStep: return "train_step";
  case ProgramKind::Eval: return "eval";
  case ProgramKind::Infer: return "infer";
  }
  return "";
}

Result<Module> planModel(const LoadedModel &model, ProgramKind kind, int64_t batch, const CodeTarget &target,
                         const CompileFlags &flags, Diagnostics &diag) {
  const bool train = kind == ProgramKind::TrainStep;
  Result<Module> module = model.instantiate(batch, diag, train ? Purpose::Training : Purpose::Inference);
  if (!module)
    return module;
  const std::string_view source = train ? "loss" : functionName(kind);
  if (!module->function(source))
    return std::unexpected(
        diag.error({}, "model '{}' has no {}", model.name, kind == ProgramKind::Infer ? "outputs" : "loss"));

  PassManager manager(flags.passes);
  Result<void> done = planFunction(*module, source, train, "", target, manager, diag, flags);
  printReports(flags, manager);
  if (!done)
    return std::unexpected(done.error());
  return module;
}

std::vector<std::string> packedVariables(const Module &module) {
  std::vector<std::string> names;
  for (const Variable &variable : module.variables)
    if (variable.type.layout == kLayoutN16)
      names.push_back(variable.name);
  return names;
}

Status cannotPlan(ProgramKind kind, int64_t batch, const Diagnostics &diag) {
  std::string report = diag.render();
  while (report.ends_with('\n'))
    report.pop_back();
  return {diag.exitCode(),
          fmt::format("cannot compile @{} for a batch of {}\n{}", functionName(kind), batch, report)};
}

} // namespace gradc
