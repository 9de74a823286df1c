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

/// "sapphirerapids", "sm_90"
std::string targetName(const CodeTarget &target);

/// Whether code for the target can keep to it: exit code 6 with what is missing.
Status checkPrecision(Precision precision, const CodeTarget &target);

/// What a user who asked for speed would want to know: the target can keep to it, but products are slower. Else "".
std::string precisionNote(Precision precision, const CodeTarget &target);

PipelineOptions pipelineOptions(const CodeTarget &target, bool train, Precision precision);

/// How a session compiles planned functions.
struct CodeOptions {
  CodeTarget target;
  int threads = 1;                    // compile workers
  const ObjectCache *cache = nullptr; // null: --no-cache

  // Of files for other machines:
  bool link = true;     // into this process: the code of a CUDA program then is in parts, for all workers
  bool debug = false;   // the CPU's code with debug information
  bool withPtx = false; // beside a cubin, for later architectures
};

/// $GRADC_CUDA_PTX_DIR gets the PTX of each cubin, too.
StatusOr<std::unique_ptr<CompiledProgram>> compileFor(const Module &module, const Function &fn,
                                                      const CodeOptions &options);

} // namespace gradc
