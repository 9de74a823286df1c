#include "ir/type.h"

#include <algorithm>

#include <fmt/format.h>

#include "support/check.h"

namespace gradc {

namespace {
constexpr int64_t kMaxElements = int64_t{1} << 40;
} // namespace

bool isFloat(DType dtype) { return dtype <= DType::F16; }

bool isInteger(DType dtype) { return dtype >= DType::I8 && dtype <= DType::I64; }

bool isArithmetic(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F64 || dtype == DType::I32 || dtype == DType::I64;
}

Shape::Shape(std::span<const int64_t> dims) {
  for (int64_t dim : dims)
    push(dim);
}

void Shape::push(int64_t dim) {
  CHECK(rank_ < kMaxRank);
  dims_[rank_++] = dim;
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int64_t dim : *this)
    product *= dim;
  return product;
}

bool Shape::operator==(const Shape &other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::string toString(const Shape &shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

std::string toString(const Type &type) {
  std::string text = fmt::format("{}{}", dtypeName(type.dtype), toString(type.shape));
  return type.layout.empty() ? text : fmt::format("{}<{}>", text, type.layout);
}

std::optional<std::string> checkShape(std::span<const int64_t> dims) {
  if (dims.size() > static_cast<size_t>(kMaxRank))
    return fmt::format("rank {} is above the limit of {}", dims.size(), kMaxRank);
  int64_t elements = 1;
  for (int64_t dim : dims) {
    if (dim < 1)
      return fmt::format("dimension {} in [{}] is below 1", dim, fmt::join(dims, ","));
    if (elements > kMaxElements / dim)
      return fmt::format("[{}] has more than 2^40 elements", fmt::join(dims, ","));
    elements *= dim;
  }
  return std::nullopt;
}

} // namespace gradc
