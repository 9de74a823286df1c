// How much memory a program takes beside its variables, arguments and results.
#pragma once

#include <cstdint>

#include "codegen/cpu/kernel.h"

namespace gradc {

struct ProgramMemory {
  int64_t arena = 0;   // intermediate values, and behind them what the steps of one kernel hand to each other
  int64_t scratch = 0; // of each worker

  /// What a planned function's values take, before anything is known of its kernels.
  static ProgramMemory ofValues(const Function &fn);
  /// Kernels run one after the other, so they share.
  void add(const Function &fn, const KernelCode &code);
};

/// Where the workspace of the function's kernels begins in the arena.
int64_t workspaceOffset(const Function &fn);

/// What compileProgram's table will say of a planned function, without compiling: no machine code is made.
ProgramMemory programMemory(const Module &module, const Function &fn, const CpuTarget &target);

} // namespace gradc
