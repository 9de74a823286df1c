// From a model to one planned function: what train, eval, predict, bench and compile have in common.
#pragma once

#include <string_view>

#include "driver/code_target.h"
#include "driver/compile_flags.h"
#include "frontend/model.h"
#include "ir/ir.h"
#include "runtime/programs.h"

namespace gradc {

/// "train_step", "eval", "infer"
std::string_view functionName(ProgramKind kind);

/// The module of one function, planned for the target. Only this function and what it is made of goes through the
/// pipeline, so that the first training step does not wait for @infer.
Result<Module> planModel(const LoadedModel &model, ProgramKind kind, int64_t batch, const CodeTarget &target,
                         const CompileFlags &flags, Diagnostics &diag);

/// The variables that a planned module has in n16.
std::vector<std::string> packedVariables(const Module &module);

/// The error of a planModel() that failed, with what it reported: for callers that do not print themselves.
Status cannotPlan(ProgramKind kind, int64_t batch, const Diagnostics &diag);

} // namespace gradc
