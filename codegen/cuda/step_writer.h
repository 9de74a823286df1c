// The text of one step: a device function with the kernel's buffers as parameters, and its comment.
#pragma once

#include <string>
#include <vector>

#include "codegen/cuda/element.h"
#include "codegen/cuda/kernel.h"

namespace gradc {

class CudaStepWriter {
public:
  /// `suffix` tells the steps of a kernel apart. The workspace and partial sums are parameters where they are wanted.
  explicit CudaStepWriter(const CudaKernelContext &k, std::string suffix = "", bool hasWorkspace = false,
                          bool hasPartials = false);

  CudaText text;
  CudaElements m;                             // the region's arguments are bound to the operands' buffers
  std::vector<std::string> operands, results; // pointers
  std::string workspace, partials;            // unsigned char *

  /// Declares an array in the block's shared memory; gives its name. Its elements begin at a multiple of 16 bytes.
  std::string sharedArray(std::string_view base, DType dtype, int64_t elements);
  /// __syncthreads()
  void barrier() { text.line("__syncthreads();"); }

  /// The yields' values at an index are all computed before the first is stored: a result may lie on an operand.
  struct Store {
    int result;
    CudaIndices at;
  };
  void storeAll(const std::vector<Store> &stores);
  void storeAll(const std::vector<int> &resultNumbers, const CudaIndices &at);

  /// Its parameters are the buffers that the text names.
  CudaStep finish(int64_t blocks, int threads = kCudaThreads) &&;

private:
  const CudaKernelContext &k_;
  std::string symbol_;
  std::vector<CudaParameter> parameters_;
  std::vector<int> buffers_;
  int64_t sharedBytes_ = 0;
};

/// The lines above a kernel's functions: the names of the model's nodes with their places, and the ops.
std::string cudaKernelComment(const CudaKernelContext &k);

} // namespace gradc
