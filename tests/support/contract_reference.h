// Contractions as chains of multiply-adds in the canonical order (ir/order.h), in plain loops, for unit tests of kernels:
// every bit must agree.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "ir/op.h"
#include "ir/order.h"

namespace gradc::testing::contract {

using Floats = std::vector<float>;

/// A contraction with its attributes' defaults filled in.
struct Operation {
  const OpDef *def;
  Type a, b, result;
  Dict attrs;
};

/// Whether multiply-adds round once: as the processor does whose kernels are compared.
inline bool fusedClass = true;

/// x · y + sum.
inline float step(float x, float y, float sum) {
  if (fusedClass)
    return std::fmaf(x, y, sum);
  volatile float product = x * y;
  return product + sum;
}

/// The sum of a power of two of values: the second half is added to the first, and so on.
float tree(Floats values);

/// Of -1 to 1.
Floats randomFloats(int64_t count, uint32_t seed);

/// The result of a matmul, conv2d or a gradient of conv2d, with operands and result in row-major order.
Floats reference(const Operation &op, const ReductionOrder &order, const Floats &a, const Floats &b);

/// A conv2d_grad_weight's by the algorithm `pixels`.
Floats referencePixels(const Operation &op, const Floats &x, const Floats &dy);

} // namespace gradc::testing::contract
