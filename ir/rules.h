// What the rows of the op table share: problems put into words, loops over indices, tensors as doubles.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "ir/op.h"

namespace gradc {

using Types = std::vector<Type>;

/// `return refuse("lhs is {} but rhs is {}", …)` in an infer rule.
template <class... Args>
std::unexpected<std::string> refuse(fmt::format_string<Args...> format, Args &&...args) {
  return std::unexpected(fmt::format(format, std::forward<Args>(args)...));
}

/// Why something is not legal, or nothing. `name` is the operand's or attribute's.
using Problem = std::optional<std::string>;
Problem notFloat(std::string_view name, const Type &type); // f32 or f64
/// What products take: f32, f64 or bf16, whose products are f32.
Problem notFactor(std::string_view name, const Type &type);
inline DType productOf(DType factor) { return factor == DType::BF16 ? DType::F32 : factor; }
Problem notOfDType(std::string_view name, const Type &type, DType dtype);
Problem notOfRank(std::string_view name, const Type &type, int rank);
Problem notSameDType(std::string_view nameA, const Type &a, std::string_view nameB, const Type &b);
Problem notSameType(std::string_view nameA, const Type &a, std::string_view nameB, const Type &b);
/// `axis` must be a dimension of the named operand.
Problem notAnAxis(int64_t axis, std::string_view name, const Type &type);
/// `axes` must be strictly increasing dimensions of the named operand.
Problem notAxes(const std::vector<int64_t> &axes, std::string_view name, const Type &type);
/// The list must have `count` numbers; `meaning` says which, as "height, width".
Problem notOfLength(std::string_view attr, const std::vector<int64_t> &list, size_t count,
                    std::string_view meaning);
/// checkShape on a shape that an attribute gives.
Problem notAShape(std::string_view attr, const std::vector<int64_t> &dims);

/// Where the first problem of several is the answer:
/// `GRADC_REFUSE(notFloat("x", x));`
#define GRADC_REFUSE(problem)                                                                                \
  do {                                                                                                       \
    if (::gradc::Problem gradcProblem = (problem))                                                           \
      return std::unexpected(*std::move(gradcProblem));                                                      \
  } while (false)

inline Rule<Types> oneType(DType dtype, Shape shape) { return Types{Type{dtype, shape, {}}}; }

/// The value cast to the model's type: factors in bf16 get gradients in bf16, so that what is multiplied has one type.
ValueId castLike(GradArgs &g, ValueId value, ValueId model);

bool contains(const std::vector<int64_t> &axes, int64_t axis);
/// The dimensions of a rank that are not in `axes`, in order.
std::vector<int64_t> otherAxes(int rank, const std::vector<int64_t> &axes);
/// -1 is the last axis; the answer is out of range where `axis` is.
inline int64_t fromEnd(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }
/// 0, 1, …, n-1
std::vector<int64_t> firstAxes(int n);

/// f(index, linear) for every multi-index of the shape in row-major order.
template <class F> void forEachIndex(const Shape &shape, F &&f) {
  std::vector<int64_t> index(shape.rank(), 0);
  for (int64_t linear = 0, n = shape.elements(); linear < n; ++linear) {
    f(std::span<const int64_t>(index), linear);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis)
      index[axis] = 0;
  }
}
int64_t linearIndex(std::span<const int64_t> index, const std::vector<int64_t> &strides);

/// All elements as doubles (for types that doubles hold).
std::vector<double> toDoubles(const Tensor &tensor);
/// Rounds every element to the tensor's type.
void fromDoubles(Tensor &tensor, std::span<const double> values);
/// Copies one element, bits unchanged; the types have the same dtype.
void copyElement(Tensor &to, int64_t i, const Tensor &from, int64_t j);

} // namespace gradc
