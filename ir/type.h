// Types of values: an element type, a static shape, and a storage layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "support/dtype.h"

namespace gradc {

bool isFloat(DType dtype);
bool isInteger(DType dtype); // i8 u8 i32 i64
/// f32, f64, i32, i64: types that arithmetic is done in. The others are stored, cast and moved.
bool isArithmetic(DType dtype);

inline constexpr int kMaxRank = 8;

/// Sizes of the dimensions, outermost first. Rank 0 is a scalar.
class Shape {
public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[axis]; }
  int64_t &operator[](int axis) { return dims_[axis]; }
  const int64_t *begin() const { return dims_.data(); }
  const int64_t *end() const { return dims_.data() + rank_; }
  void push(int64_t dim);

  /// Number of elements; the product was checked to fit 63 bits when the type was made (checkShape).
  int64_t elements() const;
  bool operator==(const Shape &other) const;

private:
  std::array<int64_t, kMaxRank> dims_{};
  uint8_t rank_ = 0;
};

/// "[64,1,28,28]"
std::string toString(const Shape &shape);

/// The type of a value. `layout` names how the elements lie in memory (ir/layout.h); it never changes the
/// logical shape, and empty means row-major.
struct Type {
  DType dtype = DType::F32;
  Shape shape;
  std::string layout;

  int rank() const { return shape.rank(); }
  int64_t elements() const { return shape.elements(); }
  bool operator==(const Type &) const = default;
};

/// "f32[64,1,28,28]" or "f32[64,400]<n16>"
std::string toString(const Type &type);

/// Why a shape is not legal (rank above 8, a dimension below 1, more than 2^40 elements), or nothing.
std::optional<std::string> checkShape(std::span<const int64_t> dims);

} // namespace gradc
