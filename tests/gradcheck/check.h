// Compares gradients that autodiff makes with central differences of the interpreter, in f64.
#pragma once

#include <optional>

#include "tests/gradcheck/samples.h"

namespace gradc::test {

/// |analytic - numeric| ≤ kAbsolute + kRelative · max of both. The differences have five points and a step of
/// 1e-3, so their own error is about 1e-12 of the values around, which are near 1.
inline constexpr double kRelative = 1e-6, kAbsolute = 1e-8;

/// Checks the gradient of Σ r·op(operands), r fixed and random, for every element of every float operand that is
/// not `fixed`; with `second` also that of Σ s·gradient. Returns what is wrong, or nothing.
std::optional<std::string> checkGradient(std::string_view op, const Sample &sample, bool second);

} // namespace gradc::test
