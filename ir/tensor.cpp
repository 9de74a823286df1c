#include "ir/tensor.h"

#include <bit>
#include <cmath>
#include <limits>

#include "support/check.h"

namespace gradc {

namespace {

/// float → integer: truncates, saturates, NaN → 0.
template <class T> T saturate(double value) {
  if (std::isnan(value))
    return 0;
  double low = static_cast<double>(std::numeric_limits<T>::min());
  double high = static_cast<double>(std::numeric_limits<T>::max());
  if (value <= low)
    return std::numeric_limits<T>::min();
  if (value >= high)
    return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

template <class T> T load(const std::byte *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T> void store(std::byte *at, T value) { std::memcpy(at, &value, sizeof value); }

/// Rounds a double to a narrower binary format with `mantissa` stored bits, nearest even, going through the bits
/// of the double so that no double rounding happens.
uint16_t narrow(double value, int exponentBits, int mantissa) {
  const int bias = (1 << (exponentBits - 1)) - 1;
  const uint16_t sign = std::signbit(value) ? static_cast<uint16_t>(1u << (exponentBits + mantissa)) : 0;
  const uint16_t infinity = static_cast<uint16_t>(((1u << exponentBits) - 1) << mantissa);
  if (std::isnan(value))
    return static_cast<uint16_t>(sign | infinity | (1u << (mantissa - 1)));
  double magnitude = std::fabs(value);
  if (std::isinf(magnitude))
    return sign | infinity;
  if (magnitude == 0)
    return sign;
  int exponent = std::ilogb(magnitude);
  int scale = std::max(exponent, 1 - bias) - mantissa; // the exponent of one unit in the last place
  double units = std::nearbyint(std::ldexp(magnitude, -scale));
  double rounded = std::ldexp(units, scale);
  int roundedExponent = rounded == 0 ? 1 - bias : std::ilogb(rounded);
  if (roundedExponent > bias)
    return sign | infinity;
  if (rounded < std::ldexp(1.0, 1 - bias)) // subnormal
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::ldexp(rounded, mantissa + bias - 1)));
  double fraction = std::ldexp(rounded, mantissa - roundedExponent) - std::ldexp(1.0, mantissa);
  return static_cast<uint16_t>(sign | ((roundedExponent + bias) << mantissa) |
                               static_cast<uint16_t>(fraction));
}

} // namespace

uint16_t bf16FromFloat(float value) { return narrow(value, 8, 7); }
float floatFromBf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
uint16_t f16FromFloat(float value) { return narrow(value, 5, 10); }

float floatFromF16(uint16_t bits) {
  int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  float magnitude;
  if (exponent == 31)
    magnitude = fraction ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  else
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

Tensor::Tensor(Type type) : type_(std::move(type)) {
  type_.layout.clear();
  bytes_.resize(static_cast<size_t>(type_.elements()) * dtypeSize(type_.dtype));
}

Tensor Tensor::scalar(DType dtype, double value) { return splat({dtype, {}, {}}, value); }

Tensor Tensor::splat(Type type, double value) {
  Tensor tensor(std::move(type));
  for (int64_t i = 0, n = tensor.elements(); i < n; ++i)
    tensor.set(i, value);
  return tensor;
}

double Tensor::get(int64_t i) const {
  const std::byte *at = bytes_.data() + static_cast<size_t>(i) * dtypeSize(type_.dtype);
  switch (type_.dtype) {
  case DType::F32: return load<float>(at);
  case DType::F64: return load<double>(at);
  case DType::BF16: return floatFromBf16(load<uint16_t>(at));
  case DType::F16: return floatFromF16(load<uint16_t>(at));
  default: return static_cast<double>(getInt(i));
  }
}

int64_t Tensor::getInt(int64_t i) const {
  const std::byte *at = bytes_.data() + static_cast<size_t>(i) * dtypeSize(type_.dtype);
  switch (type_.dtype) {
  case DType::I8: return load<int8_t>(at);
  case DType::U8: return load<uint8_t>(at);
  case DType::I32: return load<int32_t>(at);
  case DType::I64: return load<int64_t>(at);
  case DType::Bool: return load<uint8_t>(at) != 0;
  default: return saturate<int64_t>(get(i));
  }
}

void Tensor::set(int64_t i, double value) {
  std::byte *at = bytes_.data() + static_cast<size_t>(i) * dtypeSize(type_.dtype);
  switch (type_.dtype) {
  case DType::F32: return store(at, static_cast<float>(value));
  case DType::F64: return store(at, value);
  case DType::BF16: return store(at, narrow(value, 8, 7));
  case DType::F16: return store(at, narrow(value, 5, 10));
  case DType::I8: return store(at, saturate<int8_t>(value));
  case DType::U8: return store(at, saturate<uint8_t>(value));
  case DType::I32: return store(at, saturate<int32_t>(value));
  case DType::I64: return store(at, saturate<int64_t>(value));
  case DType::Bool: return store(at, static_cast<uint8_t>(value != 0));
  }
}

void Tensor::setInt(int64_t i, int64_t value) {
  std::byte *at = bytes_.data() + static_cast<size_t>(i) * dtypeSize(type_.dtype);
  switch (type_.dtype) {
  case DType::I8: return store(at, static_cast<int8_t>(value));
  case DType::U8: return store(at, static_cast<uint8_t>(value));
  case DType::I32: return store(at, static_cast<int32_t>(value));
  case DType::I64: return store(at, value);
  case DType::Bool: return store(at, static_cast<uint8_t>(value != 0));
  default: return set(i, static_cast<double>(value));
  }
}

std::vector<int64_t> rowMajorStrides(const Shape &shape) {
  std::vector<int64_t> strides(shape.rank());
  int64_t stride = 1;
  for (int axis = shape.rank(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

std::vector<int64_t> unflatten(const Shape &shape, int64_t linear) {
  std::vector<int64_t> index(shape.rank());
  for (int axis = shape.rank(); axis-- > 0;) {
    index[axis] = linear % shape[axis];
    linear /= shape[axis];
  }
  return index;
}

} // namespace gradc
