// Tensors: literal values in the IR, and the values of the interpreter. Always row-major, whatever the layout.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "ir/type.h"

namespace gradc {

class Tensor {
public:
  Tensor() = default;
  explicit Tensor(Type type); // zeros
  static Tensor scalar(DType dtype, double value);
  static Tensor splat(Type type, double value);

  const Type &type() const { return type_; }
  int64_t elements() const { return type_.elements(); }
  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Element `i` in row-major order. Reading i64 as double loses bits above 2^53: use getInt for integers.
  double get(int64_t i) const;
  int64_t getInt(int64_t i) const;
  /// Rounds to the element type as the IR defines casts: nearest even; to integers truncate, saturate, NaN → 0.
  void set(int64_t i, double value);
  /// Integers wrap to the element type.
  void setInt(int64_t i, int64_t value);

  /// The data as T; the element size must match.
  template <class T> std::span<T> as() {
    return {reinterpret_cast<T *>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  template <class T> std::span<const T> as() const {
    return {reinterpret_cast<const T *>(bytes_.data()), bytes_.size() / sizeof(T)};
  }

  /// Same type and same bits.
  bool operator==(const Tensor &other) const { return type_ == other.type_ && bytes_ == other.bytes_; }

private:
  Type type_;
  std::vector<std::byte> bytes_;
};

/// Row-major strides in elements.
std::vector<int64_t> rowMajorStrides(const Shape &shape);
/// The multi-index of linear row-major index `linear`.
std::vector<int64_t> unflatten(const Shape &shape, int64_t linear);

/// Conversions of the storage types, nearest even.
uint16_t bf16FromFloat(float value);
float floatFromBf16(uint16_t bits);
uint16_t f16FromFloat(float value);
float floatFromF16(uint16_t bits);

} // namespace gradc
