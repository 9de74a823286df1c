#include "driver/memory_plan.h"

#include "codegen/cpu/program_memory.h"
#include "driver/plan_model.h"
#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {
namespace {

int64_t batchBytes(const Function &fn) {
  int64_t bytes = 0;
  for (ValueId arg : fn.body().args)
    bytes += fn[arg].attrs.has("var") ? 0 : storageBytes(fn.type(arg));
  for (size_t i = 0; i < fn.body().yields.size(); ++i)
    bytes += fn.resultAttrs[i].has("var") ? 0 : storageBytes(fn.type(fn.body().yields[i]));
  return bytes;
}

} // namespace

Result<MemoryPlan> planTrainingMemory(const LoadedModel &model, const CpuTarget &target, Diagnostics &diag) {
  const Result<Module> module =
      planModel(model, ProgramKind::TrainStep, model.train.batchSize, target, {}, diag);
  if (!module)
    return std::unexpected(module.error());
  const Function &fn = *module->function(functionName(ProgramKind::TrainStep));
  const ProgramMemory program = programMemory(*module, fn, target);
  MemoryPlan plan{.arena = program.arena, .scratch = program.scratch, .batch = batchBytes(fn)};
  plan.packed = packedVariables(*module);
  for (const Variable &variable : module->variables)
    (variable.kind == VarKind::Slot ? plan.slots : plan.parameters) += storageBytes(variable.type);
  return plan;
}

} // namespace gradc
