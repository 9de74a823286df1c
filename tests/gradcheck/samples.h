// Inputs for gradient checks, for every differentiable op: shapes with sizes of 1, every attribute, values kept
// away from kinks and ties (those have golden cases of their own).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace gradc::test {

struct Sample {
  std::vector<Tensor> operands; // floats are f64
  Dict attrs;
  std::vector<int> fixed = {}; // float operands that are not differentiated
};

/// At least 25 samples of the op, always the same ones; none where the op is unknown here.
std::vector<Sample> gradientSamples(std::string_view op);

/// "relu(f64[2,3]) {slope = 0.1}" for messages.
std::string describe(std::string_view op, const Sample &sample);

} // namespace gradc::test
