// The pipeline for one function of a module, from whatever stage it is at: what gradc run and compile share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "driver/code_target.h"
#include "driver/compile_flags.h"
#include "passes/pass.h"
#include "passes/pipeline.h"
#include "support/result.h"

namespace gradc {

/// What --entry or --func ask for: the function to start from, and whether it is to be trained.
struct Source {
  std::string function;
  bool train = false;
};

/// `entry` is infer, eval, loss, train-step or empty: then it is `function`, where empty means the only one. Nothing
/// where there is no such function: reported on stderr, and `exit` has the code.
std::optional<Source> chooseSource(const Module &module, const std::string &entry,
                                   const std::string &function, ExitCode &exit);

/// Leaves only the named function and brings it to planned kernels. What is planned stays as it is; what has kernels
/// gets the passes after fuse; all else the whole pipeline. With `train` the function is a loss, and the result
/// has @train_step, which may pack variables. `stage` stops after the pass of that name; empty: to the end.
Result<void> planFunction(Module &module, std::string_view function, bool train, std::string_view stage,
                          const CodeTarget &target, PassManager &manager, Diagnostics &diag,
                          const CompileFlags &flags = {});

} // namespace gradc
