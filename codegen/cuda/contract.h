// What the forms of a contraction share, and the forms (passes/schedule_cuda.cpp).
#pragma once

#include <optional>
#include <span>
#include <string>

#include "codegen/cuda/step_writer.h"
#include "codegen/cuda/tile_arithmetic.h"
#include "ir/implicit_product.h"
#include "support/cuda_tiling.h"

namespace gradc {

/// The kernel's matmul or convolution.
struct CudaContraction {
  const CudaKernelContext &k;
  OpId op;

  const OpData &data() const { return k.fn[op]; }
  ValueId result() const { return data().results[0]; }
  const Type &type() const { return k.fn.type(result()); }
  const Type &operandType(size_t i) const { return k.fn.type(data().operands[i]); }
  /// The number among the kernel's operands of an operand that is one of them.
  int argument(size_t i) const { return static_cast<int>(k.fn[data().operands[i]].number); }
  std::string pointer(const CudaStepWriter &w, size_t i) const {
    return w.operands[static_cast<size_t>(argument(i))];
  }

  /// All results of the kernel at an index, where the contraction is `value`.
  void store(CudaStepWriter &w, const CudaIndices &at, const std::string &value) const;
  /// The same at several indices, each on a condition. All is read before anything is written, so that reads wait at
  /// the same time; where the condition does not hold, what is read is the thread's, but not used.
  struct Place {
    CudaIndices at;
    std::string value, condition;
  };
  void store(CudaStepWriter &w, std::span<const Place> places) const;
  /// Says of a step what the kernel as a whole computes.
  void setCost(CudaStep &step) const;
};

struct CudaTileOptions {
  std::optional<CudaTensorFormat> format = {}; // of tensor cores; none: fused multiply-adds
  bool packFilters = false;                    // of a convolution, in a step before
  bool lanesInTurn = false;                    // a block makes all 16 partial sums of its elements
  int64_t split = 1;                           // segments of the depth, with a format
};
CudaKernelCode emitCudaTiles(const CudaContraction &c, const ImplicitProduct &product, const CudaTile &tile,
                             const CudaTileOptions &options);
/// Dot products of few rows by rows as they lie (ir/order.h).
CudaKernelCode emitCudaDots(const CudaContraction &c);
/// A matmul by cuBLAS.
CudaKernelCode emitCudaLibrary(const CudaContraction &c);

} // namespace gradc
