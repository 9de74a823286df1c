// From one `kernel` op to CUDA C++ text. A kernel becomes one device function per step; what launches it, alone or
// with others, is made around it (codegen/cuda/module.h).
//
//   // conv1 + conv1.bias + relu, n6/lenet.json:12
//   __device__ __forceinline__ void conv2d_64x20x24x24_3fa9(int block, unsigned char *shared, const float *__restrict__ x, …)
//
// `block` counts from 0 to blocks - 1; all blocks have `threads` threads in one dimension. `shared` has sharedBytes bytes,
// 16-byte aligned. Pointers are device memory, at least 256-byte aligned, row-major. The text needs no header: what it
// calls stands in the prelude (codegen/cuda/prelude.h). Compiled with --fmad=false: what is written as fmaf is one fused
// multiply-add, all else rounds by itself, so bits are the CPU's (ir/order.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "codegen/cuda/target.h"
#include "ir/ir.h"
#include "runtime/cuda/abi.h"

namespace gradc {

inline constexpr int kCudaThreads =
    256; // of a block, unless the kernel needs something else; equal ones may share a launch

/// A pointer that a device function takes.
struct CudaParameter {
  std::string type; // "const float *"
  std::string name;
};

struct CudaStep {
  std::string symbol; // of the device function; empty: a product
  std::string text;   // the function, with a comment that names the model's nodes and ops
  int64_t blocks = 1;
  int threads = kCudaThreads;
  int64_t sharedBytes = 0;
  std::optional<gradc_cuda_product> product; // by cuBLAS instead of code
  std::vector<int> buffers; // that it reads or writes, numbers of the kernel's buffers (CudaKernelContext)
  std::vector<CudaParameter> parameters; // of the function after block and shared, one a buffer
  /// The first of several: where all that it reads are arguments, it may run before all kernels.
  bool isEarly = false;
  bool readsAhead = false; // as far as registers allow
  double flops = 0;
};

/// What `__launch_bounds__` says: where each block has a multiprocessor for itself, no other hides what its instructions
/// wait for, so one that reads ahead may have all registers.
std::string cudaLaunchBounds(const CudaTarget &target, int threads, int64_t blocks, bool readsAhead);

struct CudaKernelCode {
  std::vector<CudaStep> steps;
  int64_t workspaceBytes = 0; // what the steps hand to each other: one more buffer after the results
  int64_t partialBytes = 0;   // the same of all steps but an early one, in a buffer after the workspace
};

/// What a generator gets. Buffers are numbered: operands, results, workspace, partial sums.
struct CudaKernelContext {
  const Function &fn;
  OpId kernel;
  std::string symbol; // names of functions begin with it
  const CudaTarget &target;

  RegionId region() const { return fn[kernel].regions[0]; }
  const RegionData &body() const { return fn[region()]; }
  int operandBuffer(int i) const { return i; }
  int resultBuffer(int i) const { return static_cast<int>(fn[kernel].operands.size()) + i; }
  int workspaceBuffer() const { return resultBuffer(static_cast<int>(fn[kernel].results.size())); }
  int partialBuffer() const { return workspaceBuffer() + 1; }
};

/// Whether four neighbours cost a thread little more than one: each element is cheap, narrow, and lies beside its
/// neighbours. `reductions` says whether those may be there, as values that are already known.
bool cudaComputesNeighbours(const CudaKernelContext &k, bool reductions);

/// The kernel's name for this target (codegen/kernel_symbol.h).
std::string cudaKernelSymbol(const Function &fn, OpId kernel, const CudaTarget &target);

/// The code of a kernel of any kind.
CudaKernelCode emitCudaKernel(const Function &fn, OpId kernel, const CudaTarget &target,
                              const std::string &symbol);

// The generators, by kind. All are total for legal kernels of their kind.
CudaKernelCode emitCudaMap(const CudaKernelContext &k);
CudaKernelCode emitCudaRows(const CudaKernelContext &k);
CudaKernelCode emitCudaContract(const CudaKernelContext &k);

} // namespace gradc
