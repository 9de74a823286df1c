// Convolutions by Winograd's algorithm (ir/winograd.h), one line of a patch at a time, for unit tests of kernels: every bit
// must agree.
#pragma once

#include <functional>

#include "tests/support/contract_reference.h"

namespace gradc::testing::contract {

/// A correlation of x, from (top, left) on, with the kernels g(result channel, channel).
Floats referenceWinograd(const Shape &in, const Shape &out, int64_t top, int64_t left, int64_t kernel,
                         const Floats &x, const std::function<Floats(int64_t, int64_t)> &g);

/// The result of conv2d or conv2d_grad_input.
Floats referenceWinograd(const Operation &op, const Floats &a, const Floats &b);

/// The result of conv2d_grad_weight: patches of the image are correlated with tiles of the gradient, and the products
/// summed over the images of all tiles, in segments.
Floats referenceWinogradWeight(const Operation &op, int64_t tile, int64_t segments, const Floats &x,
                               const Floats &dy);

} // namespace gradc::testing::contract
