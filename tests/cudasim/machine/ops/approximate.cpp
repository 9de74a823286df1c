// ex2 lg2 rcp rsqrt sqrt sin cos tanh div with .approx: computed in double, then moved by a seeded error of at most the
// size that the PTX manual documents. The same operand always gives the same result.
#include "machine/block.h"
#include "machine/decoder.h"
#include "machine/float.h"
#include "machine/rounding.h"
#include <algorithm>

namespace cudasim {
namespace {

struct Bound {
  double relative, absolute;
};

// In [-1, 1), from the operand's bits and the seed; 32-bit arithmetic, which vectorises.
double noise(uint32_t operand, uint32_t seed) {
  uint32_t h = operand * 0x9E3779B1U + seed * 0x85EBCA77U + 0x165667B1U;
  h = (h ^ h >> 15) * 0xC2B2AE3DU;
  h = (h ^ h >> 13) * 0x27D4EB2FU;
  return static_cast<double>(static_cast<int32_t>(h ^ h >> 16)) * 0x1p-31;
}

// Zeros, infinities and NaN are exact.
double disturb(double exact, double by, Bound bound) {
  double size = std::fabs(exact), scaled = size * bound.relative;
  double error = by * (scaled > bound.absolute ? scaled : bound.absolute);
  return size > 0 && size < HUGE_VAL ? exact + error : exact;
}

// 2^x within 1e-14, in a form that vectorises: an integer power times a Taylor polynomial of 2^f, |f| <= 1/2.
double ex2(double x) {
  constexpr double kLn2 = 0.693147180559945309, kShift = 0x1.8p52;
  constexpr double kInverseFactorials[] = {
      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
      1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
  x = x < -1000 ? -1000 : x > 1000 ? 1000 : x;
  double shifted = x + kShift, z = (x - (shifted - kShift)) * kLn2, sum = 0;
  for (double coefficient : kInverseFactorials)
    sum = sum * z + coefficient;
  auto power = std::bit_cast<uint64_t>(shifted) - std::bit_cast<uint64_t>(kShift) + 1023;
  return sum * std::bit_cast<double>(power << 52);
}
double lg2(double x) { return std::log2(x); }
double sine(double x) { return std::sin(x); }
double cosine(double x) { return std::cos(x); }
double hyperbolicTangent(double x) { return std::tanh(x); }
double reciprocal(double x) { return 1 / x; }
double reciprocalRoot(double x) { return 1 / std::sqrt(x); }
double root(double x) { return std::sqrt(x); }

// PTX ISA 9.0, each instruction's section. lg2: absolute within (0.5, 2), relative elsewhere.
constexpr Bound kEx2{0x1p-22, 0}, kLg2{0x1p-22, 0x1p-22}, kSine{0, 0x1p-20}, kTanh{0x1p-11, 0},
    kReciprocal{0x1p-23, 0}, kReciprocalRoot{0x1p-22, 0}, kRoot{0x1p-23, 0}, kDivide{0x1p-22, 0},
    kReciprocal64{0x1p-19, 0};

float rounded(double x) { return static_cast<float>(x); }

template <auto F, const Bound &kBound, bool kFlush> void approximate(Warp &w, const Inst &i) {
  float *d = lanes<float>(w, i.slots[0]);
  const float *a = lanes<float>(w, i.slots[1]);
  const Options &options = w.block->grid.options;
  double scale = options.approximate ? 1 : 0;
  auto seed = static_cast<uint32_t>(options.seed);
  forLanes(w.mask, [&](int l) {
    float x = kFlush ? flush(a[l]) : a[l];
    double by = scale * noise(std::bit_cast<uint32_t>(x), seed);
    if constexpr (F == ex2) // of an integer it is exact: libdevice's functions of doubles build on that
      by = x == std::rint(x) ? 0 : by;
    float y = rounded(disturb(F(x), by, kBound));
    d[l] = kFlush ? flush(y) : y;
  });
}

template <bool kFlush> void approximateDivide(Warp &w, const Inst &i) {
  float *d = lanes<float>(w, i.slots[0]);
  const float *a = lanes<float>(w, i.slots[1]), *b = lanes<float>(w, i.slots[2]);
  const Options &options = w.block->grid.options;
  double scale = options.approximate ? 1 : 0;
  forEach(w.mask, [&](int l) {
    float x = kFlush ? flush(a[l]) : a[l], y = kFlush ? flush(b[l]) : b[l];
    uint32_t bits = std::bit_cast<uint32_t>(x) ^ std::rotl(std::bit_cast<uint32_t>(y), 16);
    // Divisors in (2^126, 2^128) give 0: the reciprocal is subnormal and flushed. div.full scales them.
    bool tooLarge = i.a == 0 && std::fabs(y) > 0x1p126F && std::isfinite(y);
    double exact = tooLarge ? std::copysign(std::isinf(x) ? NAN : 0.0, static_cast<double>(x) / y)
                            : static_cast<double>(x) / y;
    float q = rounded(disturb(exact, scale * noise(bits, static_cast<uint32_t>(options.seed)), kDivide));
    d[l] = kFlush ? flush(q) : q;
  });
}

uint32_t mixed(double x) {
  auto bits = std::bit_cast<uint64_t>(x);
  return static_cast<uint32_t>(bits ^ bits >> 32);
}

enum : uint8_t { kOfRoot = 1, kFlushes64 = 2 };

// The .ftz forms look at the upper half of the operand only, and give the upper half of a result.
double upperHalf(double x, bool only) {
  return only ? std::bit_cast<double>(std::bit_cast<uint64_t>(x) & ~0xFFFFFFFFULL) : x;
}

void approximate64(Warp &w, const Inst &i) {
  double *d = lanes<double>(w, i.slots[0]);
  const double *a = lanes<double>(w, i.slots[1]);
  const Options &options = w.block->grid.options;
  bool flushes = i.a & kFlushes64;
  forEach(w.mask, [&](int l) {
    double x = upperHalf(a[l], flushes);
    x = flushes && std::fabs(x) < 0x1p-1022 ? std::copysign(0.0, x) : x;
    double exact = i.a & kOfRoot ? 1 / std::sqrt(x) : 1 / x;
    double by = options.approximate ? noise(mixed(x), static_cast<uint32_t>(options.seed)) : 0;
    d[l] = upperHalf(disturb(exact, by, kReciprocal64), flushes);
  });
}

void oneOperand(Form &f, Type type) {
  f.expectOperands(2);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
}

template <auto F, const Bound &kBound> void decode32(Form &f) {
  if (!f.take("approx"))
    f.fail(".approx is missing");
  bool flushes = f.take("ftz");
  f.takeType({Type::F32});
  oneOperand(f, Type::F32);
  f.inst.run = flushes ? approximate<F, kBound, true> : approximate<F, kBound, false>;
}

void decodeReciprocal(Form &f) { f.has("approx") ? decode32<reciprocal, kReciprocal>(f) : decodeExact32(f); }
void decodeRoot(Form &f) { f.has("approx") ? decode32<root, kRoot>(f) : decodeExact32(f); }

void decodeDivide(Form &f) {
  if (!f.has("approx") && !f.has("full"))
    return decodeExact32(f);
  f.inst.a = f.takeOneOf({"approx", "full"}) == 1;
  bool flushes = f.take("ftz");
  f.takeType({Type::F32});
  f.expectOperands(3);
  f.inst.slots[0] = f.destination(0, Type::F32);
  f.inst.slots[1] = f.source(1, Type::F32);
  f.inst.slots[2] = f.source(2, Type::F32);
  f.inst.run = flushes ? approximateDivide<true> : approximateDivide<false>;
  f.kind = OpClass::Special;
}

void decode64(Form &f) {
  if (!f.take("approx"))
    f.fail(".approx is missing");
  f.inst.a = static_cast<uint8_t>((f.opcode() == "rsqrt" ? kOfRoot : 0) | (f.take("ftz") ? kFlushes64 : 0));
  f.takeType({Type::F64});
  oneOperand(f, Type::F64);
  f.inst.run = approximate64;
  f.kind = OpClass::Double;
}

struct HalfNumber {
  static double from(uint16_t h) { return halfToFloat(h); }
  static uint16_t to(double x) { return toHalf(x); }
};
struct BfloatNumber {
  static double from(uint16_t b) { return bfloatToFloat(b); }
  static uint16_t to(double x) { return toBfloat(x); }
};

template <class N, class T> void approximateHalf(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]);
  const Options &options = w.block->grid.options;
  Bound bound = i.a ? Bound{std::is_same_v<N, HalfNumber> ? 0x1p-10 : 0x1p-8, 0} // tanh
                    : Bound{std::is_same_v<N, HalfNumber> ? 0x1p-9 : 0x1p-7, 0};
  forEach(w.mask, [&](int l) {
    T result = 0;
    for (size_t shift = 0; shift < sizeof(T) * 8; shift += 16) {
      auto bits = static_cast<uint16_t>(a[l] >> shift);
      double exact = i.a ? std::tanh(N::from(bits)) : std::exp2(N::from(bits));
      double moved =
          disturb(exact, options.approximate ? noise(bits, static_cast<uint32_t>(options.seed)) : 0, bound);
      result |= static_cast<T>(static_cast<T>(N::to(moved)) << shift);
    }
    d[l] = result;
  });
}

void decodeHalf(Form &f) {
  using enum Type;
  if (!f.take("approx"))
    f.fail(".approx is missing");
  f.skip({"ftz"});
  Type type = f.takeType({F16, F16x2, BF16, BF16x2});
  f.needs(type == BF16 || type == BF16x2 ? 90 : 75);
  oneOperand(f, type);
  f.inst.a = f.opcode() == "tanh";
  f.inst.run = type == F16     ? approximateHalf<HalfNumber, uint16_t>
               : type == F16x2 ? approximateHalf<HalfNumber, uint32_t>
               : type == BF16  ? approximateHalf<BfloatNumber, uint16_t>
                               : approximateHalf<BfloatNumber, uint32_t>;
}

} // namespace

void decodeApproximate64(Form &f) { decode64(f); }

std::span<const Family> approximateFamilies() {
  static constexpr OpClass kSpecial = OpClass::Special;
  static constexpr Family kFamilies[] = {
      {"ex2", Data::F32, kSpecial, decode32<ex2, kEx2>},
      {"lg2", Data::F32, kSpecial, decode32<lg2, kLg2>},
      {"sin", Data::F32, kSpecial, decode32<sine, kSine>},
      {"cos", Data::F32, kSpecial, decode32<cosine, kSine>},
      {"tanh", Data::F32, kSpecial, decode32<hyperbolicTangent, kTanh>},
      {"rsqrt", Data::F32, kSpecial, decode32<reciprocalRoot, kReciprocalRoot>},
      {"rcp", Data::F32, kSpecial, decodeReciprocal},
      {"sqrt", Data::F32, kSpecial, decodeRoot},
      {"div", Data::F32, OpClass::Float, decodeDivide},
      {"rsqrt", Data::F64, kSpecial, decode64},
      {"ex2", Data::Half, kSpecial, decodeHalf},
      {"tanh", Data::Half, kSpecial, decodeHalf},
  };
  return kFamilies;
}

} // namespace cudasim
