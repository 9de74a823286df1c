// Tensors on the command line: literals, .npy and .npz files, fills, text, comparison.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ir/ir.h"
#include "support/npy.h"
#include "support/result.h"

namespace gradc {

/// "[[1, 2], [3, 4]]" or "0.5"; one number stands for all elements. inf, nan, true and false are numbers.
StatusOr<Tensor> parseLiteral(std::string_view text, const Type &type);

/// The array as a tensor of `type`. The shape must match; elements are cast only where nothing is lost but
/// precision (integers to integers, floats to floats).
StatusOr<Tensor> fromNpy(const NpyArray &array, const Type &type);
NpyArray toNpy(const Tensor &tensor);

/// "[[1, 2, 3], [4, 5, 6]]": the shortest numbers that read back. More than `maxElements` are elided.
std::string valueText(const Tensor &tensor, int64_t maxElements = 4096);

enum class Fill : uint8_t { Zeros, Ones, Random };

/// What --fill puts into an argument. Random is a pure function of seed, argument number and element: floats of
/// rank 1 and above in [-1, 1), scalars in [0.05, 0.5) (rates), i32 in 0 .. 9 (labels), i64 in 0 .. 9.
Tensor filled(const Type &type, Fill fill, uint64_t seed, uint64_t argument);

struct Tolerance {
  double relative = 0, absolute = 0; // both 0: the same bits
};

/// Where and by how much `got` differs from `want` by more than absolute + relative * |want|; NaN equals NaN.
/// Nothing: they agree.
std::optional<std::string> difference(const Tensor &got, const Tensor &want, Tolerance tolerance);

/// ‖got - want‖ / ‖want‖ in the L2 norm of all elements; infinite where the types differ, 0 of two zeros.
double relativeDistance(const Tensor &got, const Tensor &want);

/// What a function's results are called, each differently.
std::vector<std::string> resultNames(const Function &fn);

} // namespace gradc
