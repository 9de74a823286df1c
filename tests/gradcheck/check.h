// Compares gradients that autodiff makes with central differences of the interpreter, in f64.
#pragma once

#include <optional>

#include "tests/gradcheck/samples.h"

namespace gradc::test {

/// @f returns Σ r·op(operands), r fixed and random, of arguments x0, x1, …; @f.grad adds its gradients for `wrt`: the
/// float operands that are not fixed. Or the text of what went wrong.
struct GradientModule {
  Module module;
  std::vector<size_t> wrt;
};
Rule<GradientModule> makeGradient(std::string_view op, const Sample &sample);

/// |analytic - numeric| ≤ kAbsolute + kRelative · max of both. The differences have five points and a step of
/// 1e-3, so their own error is about 1e-12 of the values around, which are near 1.
inline constexpr double kRelative = 1e-6, kAbsolute = 1e-8;

/// Checks every element of the gradients of @f; with `second` also of those of Σ s·gradient. Returns what is wrong, or
/// nothing.
std::optional<std::string> checkGradient(std::string_view op, const Sample &sample, bool second);

} // namespace gradc::test
