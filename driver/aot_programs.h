// The programs that an executable or an object holds: which kinds, for which batch sizes, for which processors.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codegen/program.h"
#include "driver/plan_model.h"
#include "driver/toolchain.h"

namespace gradc {

struct CompiledInstance {
  InstanceKey key;
  std::unique_ptr<CompiledProgram> program;
};

/// All programs for one processor or CUDA architecture.
struct CompiledVersion {
  CodeTarget target;
  uint64_t features = 0; // support/cpu_features.h: what a processor's code needs
  bool withPtx = false;  // CUDA: code for later architectures, too
  std::vector<CompiledInstance> instances;
  std::vector<VariableSpec> slots; // that the optimizer adds

  const CudaTarget *cuda() const { return std::get_if<CudaTarget>(&target); }
  const CpuTarget &processor() const { return std::get<CpuTarget>(target); }
};

/// What an executable needs to run on data sets of these sizes with the bits that gradc has: its last batches are
/// instances of their own. `batches` are sizes that were asked for; the first is the model's batch size.
std::vector<InstanceKey> executableInstances(bool train, bool eval, std::span<const int64_t> batches,
                                             std::span<const int64_t> trainExamples,
                                             std::span<const int64_t> evalExamples);

/// Plans and compiles them all; the code is not linked into this process.
StatusOr<CompiledVersion> compileVersion(const LoadedModel &model, std::span<const InstanceKey> keys,
                                         const CompileFlags &flags, CodeOptions options);

/// Writes each distinct kernel for processors as a file, equal kernels of several programs as one, and returns what the
/// linker gets: the files, and flags that make the names of the model's layers symbols.
StatusOr<std::vector<std::string>> writeKernels(LinkFolder &folder,
                                                const std::vector<CompiledVersion> &versions);

} // namespace gradc
