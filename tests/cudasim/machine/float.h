// Numbers of 16 bits, tf32, flushing of subnormals, directed rounding.
#pragma once
#include <bit>
#include <cfenv>
#include <cmath>
#include <cstdint>

namespace cudasim {

inline float flush(float x) { // subnormals become zeros of their sign
  auto bits = std::bit_cast<uint32_t>(x);
  return bits & 0x7F800000U ? x : std::bit_cast<float>(bits & 0x80000000U);
}
// NaN becomes 0, as .sat says.
template <class T> T saturate01(T x) { return x > T{0} ? (x < T{1} ? x : T{1}) : T{0}; }

inline float halfToFloat(uint16_t h) {
  uint32_t sign = (h & 0x8000U) << 16, rest = h & 0x7FFFU;
  if (rest >= 0x7C00) // infinity, NaN
    return std::bit_cast<float>(sign | 0x7F800000U | (rest & 0x3FFU) << 13);
  // The exponent is rebased by a multiplication, which also makes subnormals normal.
  float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}
inline float bfloatToFloat(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }

// The nearest (ties to even), or towards zero, of the numbers with so many fraction bits and this smallest exponent, from
// a double. Overflow gives infinity, or the largest number when rounding towards zero.
double roundTo(double x, int fractionBits, int smallestExponent, int largestExponent, bool towardsZero);
uint16_t toHalf(double x, bool towardsZero = false);
uint16_t toBfloat(double x, bool towardsZero = false);
float toTf32(float x, int mode); // 0: nearest, ties away (rna); 1: nearest even; 2: towards zero

// x + y rounded to odd: rounding the result once more, to fewer bits, gives what rounding the exact sum would.
double addToOdd(double x, double y);

} // namespace cudasim
