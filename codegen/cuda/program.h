// From a planned function to a program that a CUDA device executes (runtime/cuda/abi.h).
#pragma once

#include <memory>
#include <string>

#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/target.h"
#include "codegen/object_cache.h"
#include "codegen/program.h"

namespace gradc {

struct CudaCompileOptions {
  CudaTarget target;
  const ObjectCache *cache = nullptr;
  int parts = 1; // images that are compiled at the same time
  /// Where the PTX of each cubin is written, too, as <16 digits of XXH64(cubin)>.ptx: for devices that only know that.
  std::string ptxFolder = {};
  bool withPtx = false; // beside the cubin, for later architectures
};

/// Makes a cubin for the target; PTX where the target is newer than NVRTC. The table is the first member of a
/// gradc_cuda_program; its steps have no addresses.
StatusOr<std::unique_ptr<CompiledProgram>> compileCudaProgram(const Module &module, const Function &fn,
                                                              const CudaCompileOptions &options);

/// The kernels of a planned function as CUDA C++.
std::string emitCudaText(const Module &module, const Function &fn, const CudaTarget &target);

/// Text to code through the cache (null: none), which text, options and NVRTC's version name.
StatusOr<std::string> compileCudaText(const std::string &text, int architecture, CudaCodeForm form,
                                      const ObjectCache *cache);

} // namespace gradc
