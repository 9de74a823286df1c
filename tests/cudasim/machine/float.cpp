#include "machine/float.h"
#include <algorithm>

namespace cudasim {

double roundTo(double x, int fractionBits, int smallestExponent, int largestExponent, bool towardsZero) {
  if (x == 0 || !std::isfinite(x))
    return x;
  int exponent = std::max(std::ilogb(x), smallestExponent);
  double unit = std::ldexp(1.0, exponent - fractionBits); // of the last place
  double scaled = x / unit;
  double result = (towardsZero ? std::trunc(scaled) : std::nearbyint(scaled)) * unit;
  double largest = std::ldexp(2 - std::ldexp(1.0, -fractionBits), largestExponent);
  if (std::fabs(result) > largest)
    result = std::copysign(towardsZero ? largest : HUGE_VAL, x);
  return result == 0 ? std::copysign(0.0, x) : result;
}

uint16_t toHalf(double x, bool towardsZero) {
  if (std::isnan(x))
    return 0x7FFF;
  double r = roundTo(x, 10, -14, 15, towardsZero);
  uint16_t sign = std::signbit(r) ? 0x8000 : 0;
  r = std::fabs(r);
  if (std::isinf(r))
    return sign | 0x7C00;
  if (r < 0x1p-14)
    return sign | static_cast<uint16_t>(std::ldexp(r, 24));
  int exponent = std::ilogb(r);
  return sign | static_cast<uint16_t>(((exponent + 15) << 10) +
                                      static_cast<int>(std::ldexp(r, 10 - exponent)) - 1024);
}

uint16_t toBfloat(double x, bool towardsZero) {
  if (std::isnan(x))
    return 0x7FFF;
  double r = roundTo(x, 7, -126, 127, towardsZero);
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(r)) >> 16);
}

float toTf32(float x, int mode) {
  auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U)
    return std::bit_cast<float>(0x7FFFFFFFU);
  if ((bits & 0x7F800000U) != 0x7F800000U)
    bits += mode == 0 ? 0x1000U : mode == 1 ? 0xFFFU + (bits >> 13 & 1) : 0;
  return std::bit_cast<float>(bits & 0xFFFFE000U);
}

double addToOdd(double x, double y) {
  double sum = x + y;
  if (!std::isfinite(sum))
    return sum;
  double yPart = sum - x, error = (x - (sum - yPart)) + (y - yPart); // Knuth's two-sum
  auto bits = std::bit_cast<uint64_t>(sum);
  if (error == 0 || (bits & 1))
    return sum;
  bool away = (error > 0) == (sum > 0);
  return std::bit_cast<double>(away ? bits + 1 : bits - 1);
}

} // namespace cudasim
