// A function of a module as machine code in this process.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "codegen/program.h"
#include "driver/run_times.h"
#include "ir/ir.h"
#include "passes/pipeline.h"
#include "runtime/executor.h"

namespace gradc {

class CompiledFunction {
public:
  /// Plans and compiles the function for this processor, with that many threads, which run it too. Errors as a backend
  /// has them (driver/backend.h).
  static StatusOr<std::unique_ptr<CompiledFunction>>
  make(const Module &module, std::string_view function, int threads, Precision precision, Diagnostics &diag);

  /// Row-major tensors in, row-major tensors out. For times it then runs on where it left its variables.
  StatusOr<std::vector<Tensor>> run(std::span<const Tensor> arguments, RunTimes *times = nullptr);

private:
  CompiledFunction(Module planned, std::string_view function, int threads)
      : module_(std::move(planned)), fn_(*module_.function(function)), pool_(threads) {}
  Status compile(const CpuTarget &target);

  Module module_;
  const Function &fn_;
  std::unique_ptr<CompiledProgram> program_;
  ThreadPool pool_;
  Workspace workspace_;
  std::optional<Executor> executor_;
};

} // namespace gradc
