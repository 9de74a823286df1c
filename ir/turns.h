// Kernels that can be cut by examples, the first dimension of their results: what lets neighbours take turns.
//
//   %s = kernel(%q, %k) {kind = contract, turn = 0} { … matmul … }: f32[64,4,128,128]
//   %p = kernel(%s) {kind = rows, turn = 0} { … softmax … }: f32[64,4,128,128]
//   %m = kernel(%p, %v) {kind = contract, turn = 0} { … matmul … }: f32[64,4,128,64]
//
// Kernels of one turn run for some examples one after the other, and then for the next, so that what they hand on is
// still in a cache. That changes no bit: an example of each is made of the same example of what the others make.
#pragma once

#include "ir/ir.h"

namespace gradc {

/// How many examples the row-major kernel can be cut into, so that every result's slice along its first dimension is
/// computed by itself; 0: it cannot. Products need factors of an example each; reductions sum over other dimensions.
int64_t examplesOf(const Function &fn, OpId kernel);

/// True when an example of the kernel's results needs nothing but the same example of the operand.
bool followsExamples(const Function &fn, OpId kernel, int operand);

} // namespace gradc
