#include "ir/rules.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "support/check.h"

namespace gradc {

Problem notFloat(std::string_view name, const Type &type) {
  if (type.dtype == DType::F32 || type.dtype == DType::F64)
    return std::nullopt;
  return fmt::format("{} must be f32 or f64 but is {}", name, toString(type));
}

Problem notFactor(std::string_view name, const Type &type) {
  return type.dtype == DType::BF16 ? std::nullopt : notFloat(name, type);
}

Problem notOfDType(std::string_view name, const Type &type, DType dtype) {
  if (type.dtype == dtype)
    return std::nullopt;
  return fmt::format("{} must be of {} but is {}", name, dtypeName(dtype), toString(type));
}

Problem notOfRank(std::string_view name, const Type &type, int rank) {
  if (type.rank() == rank)
    return std::nullopt;
  return fmt::format("{} must have rank {} but is {}", name, rank, toString(type));
}

Problem notSameDType(std::string_view nameA, const Type &a, std::string_view nameB, const Type &b) {
  if (a.dtype == b.dtype)
    return std::nullopt;
  return fmt::format("{} is {} but {} is {}", nameA, toString(a), nameB, toString(b));
}

Problem notSameType(std::string_view nameA, const Type &a, std::string_view nameB, const Type &b) {
  if (a.dtype == b.dtype && a.shape == b.shape)
    return std::nullopt;
  return fmt::format("{} is {} but {} is {}", nameA, toString(a), nameB, toString(b));
}

Problem notAnAxis(int64_t axis, std::string_view name, const Type &type) {
  if (axis >= 0 && axis < type.rank())
    return std::nullopt;
  return fmt::format("axis {} is not a dimension of {}, which is {}", axis, name, toString(type));
}

Problem notAxes(const std::vector<int64_t> &axes, std::string_view name, const Type &type) {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (Problem problem = notAnAxis(axes[i], name, type))
      return problem;
    if (i > 0 && axes[i] <= axes[i - 1])
      return fmt::format("axes must be strictly increasing but {} follows {}", axes[i], axes[i - 1]);
  }
  return std::nullopt;
}

Problem notOfLength(std::string_view attr, const std::vector<int64_t> &list, size_t count,
                    std::string_view meaning) {
  if (list.size() == count)
    return std::nullopt;
  return fmt::format("{} must have {} number{} ({}) but has {}", attr, count, count == 1 ? "" : "s", meaning,
                     list.size());
}

Problem notAShape(std::string_view attr, const std::vector<int64_t> &dims) {
  if (Problem problem = checkShape(dims))
    return fmt::format("{}: {}", attr, *problem);
  return std::nullopt;
}

bool contains(const std::vector<int64_t> &axes, int64_t axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

std::vector<int64_t> otherAxes(int rank, const std::vector<int64_t> &axes) {
  std::vector<int64_t> others;
  for (int64_t axis = 0; axis < rank; ++axis)
    if (!contains(axes, axis))
      others.push_back(axis);
  return others;
}

std::vector<int64_t> firstAxes(int n) {
  std::vector<int64_t> axes(n);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

int64_t linearIndex(std::span<const int64_t> index, const std::vector<int64_t> &strides) {
  return std::inner_product(index.begin(), index.end(), strides.begin(), int64_t{0});
}

std::vector<double> toDoubles(const Tensor &tensor) {
  std::vector<double> values(tensor.elements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = tensor.get(i);
  return values;
}

void fromDoubles(Tensor &tensor, std::span<const double> values) {
  CHECK(static_cast<int64_t>(values.size()) == tensor.elements());
  for (size_t i = 0; i < values.size(); ++i)
    tensor.set(i, values[i]);
}

void copyElement(Tensor &to, int64_t i, const Tensor &from, int64_t j) {
  size_t size = dtypeSize(to.type().dtype);
  std::memcpy(to.bytes().data() + i * size, from.bytes().data() + j * size, size);
}

ValueId castLike(GradArgs &g, ValueId value, ValueId model) {
  const DType dtype = g.type(model).dtype;
  return g.type(value).dtype == dtype ? value : g.b.cast(value, dtype);
}

} // namespace gradc
