// All kernels of a planned function as one CUDA C++ text, and what is launched in which order.
//
//   // prelude, then each distinct kernel once:
//   __device__ __forceinline__ void relu_64x512_3fa9(int block, unsigned char *shared, const float *x, float *y) { … }
//
//   // relu; relu2
//   extern "C" __global__ void __launch_bounds__(256) launch_relu_64x512_3fa9(const float *x, float *y) {
//     relu_64x512_3fa9((int)blockIdx.x, nullptr, x, y);
//   }
//
// Neighbouring kernels with an equal attribute `launch = N` read nothing that the others write: their steps share
// launches, each with its share of the blocks. Steps that read nothing but the function's arguments, as those that pack
// filters, go before all others, into the first launch.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "codegen/cuda/kernel.h"

namespace gradc {

struct CudaLaunch {
  std::string function; // of the text; empty: a product
  int part = 0;         // which of the texts has it
  std::string name;     // the model's names, for people
  int64_t blocks = 1;
  int threads = kCudaThreads;
  int64_t sharedBytes = 0;
  gradc_cuda_product product{};
  std::vector<std::pair<OpId, int>> parameters; // a kernel, and the number of its buffer
  double flops = 0, bytes = 0;                  // that must move from or to memory (codegen/cuda/estimate.h)
};

struct CudaModule {
  std::vector<std::string> texts;   // each compiles by itself; none where all is products
  std::vector<CudaLaunch> launches; // in order
  int64_t workspaceBytes = 0;       // the most that a kernel, or all kernels of one launch together, need
  std::vector<std::pair<OpId, int64_t>> workspaces; // kernels that have one, and where it begins in it
  std::vector<std::pair<OpId, int64_t>> partials;   // the same of partial sums
  int kernels = 0, distinct = 0;
};

/// The function's constants must be in it (codegen/constants.h). The text may be cut into `parts`, to be compiled at the
/// same time; they are cut between launches, and a device function that two of them call is in both.
CudaModule emitCudaModule(const Function &fn, const CudaTarget &target, int parts = 1);
/// The same of a function that may name constants of its module.
CudaModule emitCudaModule(const Module &module, const Function &fn, const CudaTarget &target);

} // namespace gradc
