#include "codegen/cpu/program_memory.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include "codegen/constants.h"
#include "ir/plan.h"

namespace gradc {

int64_t workspaceOffset(const Function &fn) {
  const Attr *bytes = fn.attrs.find(kArenaAttr);
  const int64_t arena = bytes ? *bytes->as<int64_t>() : 0;
  return (arena + kPlaceAlignment - 1) / kPlaceAlignment * kPlaceAlignment;
}

ProgramMemory ProgramMemory::ofValues(const Function &fn) { return {.arena = workspaceOffset(fn)}; }

void ProgramMemory::add(const Function &fn, const KernelCode &code) {
  arena = std::max(arena, workspaceOffset(fn) + code.workspaceBytes);
  for (const KernelStep &step : code.steps)
    scratch = std::max(scratch, step.scratchBytes);
}

ProgramMemory programMemory(const Module &module, const Function &given, const CpuTarget &target) {
  const std::optional<Function> whole = withConstants(module, given);
  const Function &fn = whole ? *whole : given;
  ProgramMemory memory = ProgramMemory::ofValues(fn);
  std::set<std::string> known;
  for (OpId op : fn.body().ops) {
    if (takesNoStep(fn, op))
      continue;
    const std::string symbol = kernelSymbol(fn, op, target);
    if (!known.insert(symbol).second)
      continue;
    llvm::LLVMContext context;
    llvm::Module code(symbol, context);
    memory.add(fn, emitKernel(code, target, fn, op, symbol));
  }
  return memory;
}

} // namespace gradc
