// cvt: integers, f16, bf16, tf32, f32, f64 and pairs.
#include "machine/decoder.h"
#include "machine/float.h"
#include "machine/rounding.h"
#include <limits>

namespace cudasim {
namespace {

enum : uint8_t { kNearest, kZero, kDown, kUp, kAway, kNone = 255 };

template <class D, class S, bool kSaturate> void integers(Warp &w, const Inst &i) {
  auto *d = lanes<Storage<D>>(w, i.slots[0]);
  const auto *a = lanes<Storage<S>>(w, i.slots[1]);
  forLanes(w.mask, [&](int l) {
    auto v = static_cast<S>(a[l]);
    if constexpr (kSaturate) {
      using Limits = std::numeric_limits<D>;
      v = std::cmp_less(v, Limits::min())      ? static_cast<S>(Limits::min())
          : std::cmp_greater(v, Limits::max()) ? static_cast<S>(Limits::max())
                                               : v;
    }
    d[l] = static_cast<Storage<D>>(static_cast<D>(v));
  });
}

template <class T> T integral(T x, uint8_t rounding) {
  switch (rounding) {
  case kZero: return std::trunc(x);
  case kDown: return std::floor(x);
  case kUp: return std::ceil(x);
  default: return std::nearbyint(x);
  }
}

// Out of range: the nearest. NaN: 0, but from or to 64 bits only the highest bit set.
template <class D> D toInteger(double x, uint8_t rounding, bool wide) {
  if (x != x)
    return wide ? static_cast<D>(1ULL << (sizeof(D) * 8 - 1)) : D{0};
  x = integral(x, rounding);
  using Limits = std::numeric_limits<D>;
  if (x <= static_cast<double>(Limits::min()))
    return Limits::min();
  return x >= static_cast<double>(Limits::max()) ? Limits::max() : static_cast<D>(x);
}

// Floats of all widths as double, where every one of them is exact.
struct Double {
  using Bits = double;
  static double from(double x) { return x; }
  static double to(double x, bool) { return x; }
};
struct Single {
  using Bits = float;
  static double from(float x) { return x; }
  static float to(double x, bool) { return static_cast<float>(x); }
};
struct Half {
  using Bits = uint16_t;
  static double from(uint16_t x) { return halfToFloat(x); }
  static uint16_t to(double x, bool zero) { return toHalf(x, zero); }
};
struct Bfloat {
  using Bits = uint16_t;
  static double from(uint16_t x) { return bfloatToFloat(x); }
  static uint16_t to(double x, bool zero) { return toBfloat(x, zero); }
};

template <class F> Handler forFloat(Type type, F f) {
  switch (type) {
  case Type::F16: return f(Half{});
  case Type::BF16: return f(Bfloat{});
  case Type::F32: return f(Single{});
  case Type::F64: return f(Double{});
  default: return nullptr;
  }
}

template <class D, class S> void floatToInteger(Warp &w, const Inst &i) {
  auto *d = lanes<Storage<D>>(w, i.slots[0]);
  const auto *a = lanes<typename S::Bits>(w, i.slots[1]);
  constexpr bool kWide = sizeof(D) == 8 || sizeof(typename S::Bits) == 8;
  forEach(w.mask, [&](int l) {
    double x = S::from(a[l]);
    if (i.b) // .ftz
      x = flush(static_cast<float>(x));
    d[l] = static_cast<Storage<D>>(toInteger<D>(x, i.a, kWide));
  });
}

template <class D, class S> void integerToFloat(Warp &w, const Inst &i) {
  auto *d = lanes<typename D::Bits>(w, i.slots[0]);
  const auto *a = lanes<Storage<S>>(w, i.slots[1]);
  forLanes(w.mask, [&](int l) {
    if constexpr (sizeof(typename D::Bits) >= 4) // one rounding, by the processor
      d[l] = static_cast<typename D::Bits>(static_cast<S>(a[l]));
    else
      d[l] = D::to(static_cast<double>(static_cast<S>(a[l])), i.a == kZero);
  });
}

enum Finish : uint8_t { kFlushes = 1, kSaturates = 2, kRelu = 4, kIntegral = 8 };

double finish(double x, uint8_t rounding, uint8_t how) {
  if (how & kIntegral)
    x = integral(x, rounding);
  if (how & kSaturates)
    x = saturate01(x);
  if (how & kRelu)
    x = x > 0 || x != x ? x : 0;
  return x;
}

template <class D, class S> void floats(Warp &w, const Inst &i) {
  auto *d = lanes<typename D::Bits>(w, i.slots[0]);
  const auto *a = lanes<typename S::Bits>(w, i.slots[1]);
  if constexpr (sizeof(typename S::Bits) >= 4 && sizeof(typename D::Bits) >= 4)
    if (i.b == 0)
      return forLanes(w.mask, [&](int l) { d[l] = static_cast<typename D::Bits>(a[l]); });
  forEach(w.mask, [&](int l) {
    double x = S::from(a[l]);
    if constexpr (sizeof(typename S::Bits) == 4)
      x = i.b & kFlushes ? flush(a[l]) : a[l];
    d[l] = D::to(finish(x, i.a, i.b), i.a == kZero);
    if constexpr (sizeof(typename D::Bits) == 4)
      d[l] = i.b & kFlushes ? flush(d[l]) : d[l];
  });
}

void toTensorFloat(Warp &w, const Inst &i) {
  float *d = lanes<float>(w, i.slots[0]);
  const float *a = lanes<float>(w, i.slots[1]);
  forLanes(w.mask, [&](int l) {
    float x = i.b ? (a[l] > 0 || a[l] != a[l] ? a[l] : 0.0F) : a[l];
    d[l] = toTf32(x, i.a == kAway ? 0 : i.a == kNearest ? 1 : 2);
  });
}

template <class N> void toPair(Warp &w, const Inst &i) {
  auto *d = lanes<uint32_t>(w, i.slots[0]);
  const float *high = lanes<float>(w, i.slots[1]), *low = lanes<float>(w, i.slots[2]);
  forEach(w.mask, [&](int l) {
    auto one = [&](float x) { return static_cast<uint32_t>(N::to(finish(x, i.a, i.b), i.a == kZero)); };
    d[l] = one(high[l]) << 16 | one(low[l]);
  });
}

struct Modifiers {
  uint8_t rounding = kNone;
  bool integralRounding = false, flushes = false, saturates = false, relu = false;
};

Modifiers takeModifiers(Form &f) {
  Modifiers m;
  int rounding = f.takeOneOf({"rn", "rz", "rm", "rp", "rna"});
  int toIntegral = f.takeOneOf({"rni", "rzi", "rmi", "rpi"});
  m.rounding = static_cast<uint8_t>(rounding >= 0 ? rounding : toIntegral >= 0 ? toIntegral : kNone);
  m.integralRounding = toIntegral >= 0;
  m.flushes = f.take("ftz");
  m.saturates = f.take("sat");
  m.relu = f.take("relu");
  return m;
}

void decodePair(Form &f, Type to, const Modifiers &m) {
  f.takeType({Type::F32});
  f.expectOperands(3);
  f.inst.slots[0] = f.destination(0, to);
  f.inst.slots[1] = f.source(1, Type::F32);
  f.inst.slots[2] = f.source(2, Type::F32);
  f.inst.a = m.rounding;
  f.inst.b = m.relu ? kRelu : 0;
  if (m.rounding != kNearest && m.rounding != kZero)
    f.fail(".rn or .rz is missing");
  f.inst.run = to == Type::F16x2 ? toPair<Half> : toPair<Bfloat>;
}

void decodeTensorFloat(Form &f, const Modifiers &m) {
  f.takeType({Type::F32});
  f.expectOperands(2);
  f.inst.slots[0] = f.destination(0, Type::B32);
  f.inst.slots[1] = f.source(1, Type::F32);
  f.inst.a = m.rounding;
  f.inst.b = m.relu;
  f.inst.run = m.rounding == kAway || m.rounding == kNearest || m.rounding == kZero ? toTensorFloat : nullptr;
}

Handler betweenIntegers(Type to, Type from, bool saturates) {
  return forInteger(to, [&]<class D>(D) -> Handler {
    return forInteger(from, [&]<class S>(S) -> Handler {
      return saturates ? integers<D, S, true> : integers<D, S, false>;
    });
  });
}

Handler betweenFloats(Form &f, Type to, Type from, const Modifiers &m) {
  bool narrows = ptx::bytesOf(to) < ptx::bytesOf(from);
  if (narrows && m.integralRounding)
    f.fail("a narrowing conversion rounds to a float");
  if (narrows && m.rounding == kNone)
    f.fail("a rounding is missing");
  if (narrows && to == Type::F32 && m.rounding > kNearest)
    return directedConversion(to, from, m.rounding, f.inst);
  f.inst.b = static_cast<uint8_t>((m.flushes ? kFlushes : 0) | (m.saturates ? kSaturates : 0) |
                                  (m.relu ? kRelu : 0) | (m.integralRounding ? kIntegral : 0));
  return forFloat(to, [&]<class D>(D) -> Handler {
    return forFloat(from, [&]<class S>(S) -> Handler { return floats<D, S>; });
  });
}

Handler handlerOf(Form &f, Type to, Type from, const Modifiers &m) {
  f.inst.a = m.rounding;
  f.inst.b = m.flushes;
  if (!ptx::isFloat(to) && !ptx::isFloat(from))
    return betweenIntegers(to, from, m.saturates);
  if (ptx::isFloat(to) && ptx::isFloat(from))
    return betweenFloats(f, to, from, m);
  if (m.rounding == kNone)
    f.fail("a rounding is missing");
  if (ptx::isFloat(from)) {
    if (!m.integralRounding)
      f.fail("a conversion to an integer needs .rni, .rzi, .rmi or .rpi");
    return forInteger(to, [&]<class D>(D) -> Handler {
      return forFloat(from, [&]<class S>(S) -> Handler { return floatToInteger<D, S>; });
    });
  }
  if (m.rounding > kNearest && ptx::bytesOf(to) >= 4)
    return directedConversion(to, from, m.rounding, f.inst);
  return forFloat(to, [&]<class D>(D) -> Handler {
    return forInteger(from, [&]<class S>(S) -> Handler { return integerToFloat<D, S>; });
  });
}

void decodeConvert(Form &f) {
  Modifiers m = takeModifiers(f);
  Type to = f.takeType();
  if (to == Type::F16x2 || to == Type::BF16x2 || to == Type::BF16 || to == Type::TF32)
    f.needs(to == Type::TF32 && m.rounding != kAway ? 90 : 80);
  if (to == Type::F16x2 || to == Type::BF16x2)
    return decodePair(f, to, m);
  if (to == Type::TF32)
    return decodeTensorFloat(f, m);
  Type from = f.takeType();
  if (from == Type::BF16)
    f.needs(90);
  f.expectOperands(2);
  f.inst.slots[0] = f.wideDestination(f.operand(0), to);
  f.inst.slots[1] = f.wideSource(f.operand(1), from);
  f.inst.run = handlerOf(f, to, from, m);
}

} // namespace

std::span<const Family> convertFamilies() {
  static constexpr Family kFamilies[] = {{"cvt", Data::Any, OpClass::Convert, decodeConvert}};
  return kFamilies;
}

} // namespace cudasim
