// Reductions in the order of ir/order.h by one thread.
#pragma once

#include <span>

#include "codegen/cuda/element.h"
#include "ir/order.h"

namespace gradc {

/// The leaf that a reduction op combines with, and the value it starts at.
Leaf cudaReductionLeaf(std::string_view op);
double cudaReductionStart(std::string_view op);
std::string cudaCombine(std::string_view op, DType dtype, const std::string &sum, const std::string &x);

/// One chain of a reduction: partial sum `lane` of the order's lanes, `segment` of its split.
struct CudaChain {
  const Shape &shape; // of the operand
  const ReductionOrder &order;
  CudaIndex lane = 0, segment = 0;
  int unroll = 1; // iterations of the innermost loop that may be in flight

  /// body(at) for the chain's places in order; `kept` has the dimensions that are not reduced, in their places.
  void forEach(CudaElements &m, CudaIndices kept, const std::function<void(const CudaIndices &)> &body) const;

private:
  void nest(CudaElements &m, size_t level, CudaIndices at,
            const std::function<void(const CudaIndices &)> &body) const;
};

/// The indices of the operand's kept dimensions from an index of the result, which may keep reduced ones as 1; the
/// reduced ones are 0.
CudaIndices cudaKeptDims(CudaElements &m, OpId reduction, const ReductionOrder &order, const CudaIndices &at);
bool isReducedAxis(const ReductionOrder &order, int axis);

/// All partial sums of an element by one thread, and their trees: `chain` writes one chain, which adds to the variable
/// `sum`. Gives the name of the sum.
using CudaChainBody =
    std::function<void(const std::string &sum, const CudaIndex &lane, const CudaIndex &segment)>;
std::string cudaSumOfChains(CudaElements &m, OpId op, const ReductionOrder &order,
                            const CudaChainBody &chain);

/// Whether a later value takes the place of argmax's best so far, as a condition.
std::string cudaBeatsBest(const std::string &value, const std::string &best);

} // namespace gradc
