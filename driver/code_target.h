// What code is made for: a processor or a CUDA architecture.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "codegen/cpu/target.h"
#include "codegen/cuda/target.h"
#include "codegen/program.h"
#include "passes/pipeline.h"
#include "support/result.h"

namespace gradc {

using CodeTarget = std::variant<CpuTarget, CudaTarget>;

/// Whether code for the target can keep to it: exit code 6 with what is missing.
Status checkPrecision(Precision precision, const CodeTarget &target);

PipelineOptions pipelineOptions(const CodeTarget &target, bool train, Precision precision);

/// How a session compiles planned functions.
struct CodeOptions {
  CodeTarget target;
  int threads = 1;                    // compile workers
  const ObjectCache *cache = nullptr; // null: --no-cache
};

StatusOr<std::unique_ptr<CompiledProgram>> compileFor(const Module &module, const Function &fn,
                                                      const CodeOptions &options);

} // namespace gradc
