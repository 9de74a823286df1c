// add sub mul mad div rem abs neg min max sad dp4a dp2a of integers.
#include "machine/decoder.h"
#include <fmt/format.h>
#include <limits>
#include <type_traits>

namespace cudasim {
namespace {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;
template <class T> using Unsigned = std::make_unsigned_t<T>;
template <class T>
using Wide = std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                                std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

// Arithmetic wraps: in unsigned numbers of at least 32 bits, where C++ defines it.
template <class T> T add(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T> T sub(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T> T low(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class T> T madLow(T a, T b, T c) { return add<T>(low<T>(a, b), c); }
template <class T> T high(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    using Product = std::conditional_t<std::is_signed_v<T>, Int128, Uint128>;
    return static_cast<T>((static_cast<Product>(a) * b) >> 64);
  } else {
    return static_cast<T>((static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b)) >> (8 * sizeof(T)));
  }
}
template <class T> T madHigh(T a, T b, T c) { return add<T>(high<T>(a, b), c); }
template <class T> Wide<T> wide(T a, T b) {
  return static_cast<Wide<T>>(static_cast<uint64_t>(static_cast<Wide<T>>(a)) *
                              static_cast<uint64_t>(static_cast<Wide<T>>(b)));
}
template <class T> Wide<T> madWide(T a, T b, Wide<T> c) { return add<Wide<T>>(wide<T>(a, b), c); }
template <class T> T negate(T a) { return sub<T>(0, a); }
template <class T> T absolute(T a) { return a < 0 ? negate<T>(a) : a; }
template <class T> T minimum(T a, T b) { return a < b ? a : b; }
template <class T> T maximum(T a, T b) { return a > b ? a : b; }
template <class T> T sumOfDifference(T a, T b, T c) { return add<T>(a < b ? sub<T>(b, a) : sub<T>(a, b), c); }
int32_t saturate(int64_t v) {
  return static_cast<int32_t>(v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v);
}
int32_t addSaturating(int32_t a, int32_t b) { return saturate(static_cast<int64_t>(a) + b); }
int32_t subSaturating(int32_t a, int32_t b) { return saturate(static_cast<int64_t>(a) - b); }

// What the hardware gives for a zero divisor is not specified: a report.
template <class T, bool kRemainder> void divide(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]);
  uint32_t zeros = 0;
  for (int l = 0; l < kLanes; ++l)
    zeros |= static_cast<uint32_t>(b[l] == 0) << l;
  if (zeros & w.mask)
    return w.fault(kLaunchFailed, std::countr_zero(zeros & w.mask), "integer division by zero");
  forEach(w.mask, [&](int l) {
    if (std::is_signed_v<T> && b[l] == static_cast<T>(-1))
      d[l] = kRemainder ? static_cast<T>(0) : negate<T>(a[l]);
    else
      d[l] = static_cast<T>(kRemainder ? a[l] % b[l] : a[l] / b[l]);
  });
}

void operandsOf(Form &f, size_t count, Type type) {
  f.expectOperands(count);
  f.inst.slots[0] = f.destination(0, type);
  for (size_t k = 1; k < count; ++k)
    f.inst.slots[k] = f.source(k, type);
}

Type integerType(Form &f) {
  using enum Type;
  return f.takeType({U16, S16, U32, S32, U64, S64});
}

void decodeAdd(Form &f) {
  bool saturating = f.take("sat");
  Type type = integerType(f);
  operandsOf(f, 3, type);
  if (saturating && type != Type::S32)
    f.fail("only .s32 saturates");
  f.inst.run = saturating ? binary<int32_t, int32_t, int32_t, addSaturating>
                          : forInteger(type, []<class T>(T) -> Handler { return binary<T, T, T, add<T>>; });
}

void decodeSub(Form &f) {
  bool saturating = f.take("sat");
  Type type = integerType(f);
  operandsOf(f, 3, type);
  if (saturating && type != Type::S32)
    f.fail("only .s32 saturates");
  f.inst.run = saturating ? binary<int32_t, int32_t, int32_t, subSaturating>
                          : forInteger(type, []<class T>(T) -> Handler { return binary<T, T, T, sub<T>>; });
}

Type wider(Type type) {
  switch (type) {
  case Type::U16: return Type::U32;
  case Type::S16: return Type::S32;
  case Type::U32: return Type::U64;
  default: return Type::S64;
  }
}

void decodeMul(Form &f) {
  bool adds = f.opcode() == "mad";
  int part = f.takeOneOf({"lo", "hi", "wide"});
  Type type = integerType(f);
  if (part < 0)
    f.fail("one of .lo, .hi, .wide is missing");
  if (part == 2 && ptx::bytesOf(type) == 8)
    f.fail("there is no .wide of 64 bits");
  Type result = part == 2 ? wider(type) : type;
  f.expectOperands(adds ? 4 : 3);
  f.inst.slots[0] = f.destination(0, result);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, type);
  if (adds)
    f.inst.slots[3] = f.source(3, result);
  f.inst.run = forInteger(type, [&]<class T>(T) -> Handler {
    if constexpr (sizeof(T) < 8 && sizeof(T) > 1)
      if (part == 2)
        return adds ? Handler(ternary<Wide<T>, T, T, Wide<T>, madWide<T>>)
                    : Handler(binary<Wide<T>, T, T, wide<T>>);
    if (part == 1)
      return adds ? Handler(ternary<T, T, T, T, madHigh<T>>) : Handler(binary<T, T, T, high<T>>);
    return adds ? Handler(ternary<T, T, T, T, madLow<T>>) : Handler(binary<T, T, T, low<T>>);
  });
}

void decodeDivide(Form &f) {
  Type type = integerType(f);
  operandsOf(f, 3, type);
  f.inst.run = forInteger(
      type, [&]<class T>(T) -> Handler { return f.opcode() == "rem" ? divide<T, true> : divide<T, false>; });
}

void decodeMinMax(Form &f) {
  Type type = integerType(f);
  operandsOf(f, 3, type);
  f.inst.run = forInteger(type, [&]<class T>(T) -> Handler {
    return f.opcode() == "min" ? Handler(binary<T, T, T, minimum<T>>) : Handler(binary<T, T, T, maximum<T>>);
  });
}

void decodeSigned(Form &f) {
  Type type = f.takeType({Type::S16, Type::S32, Type::S64});
  operandsOf(f, 2, type);
  f.inst.run = forInteger(type, [&]<class T>(T) -> Handler {
    return f.opcode() == "neg" ? Handler(unary<T, T, negate<T>>) : Handler(unary<T, T, absolute<T>>);
  });
}

void decodeSad(Form &f) {
  Type type = integerType(f);
  operandsOf(f, 4, type);
  f.inst.run =
      forInteger(type, []<class T>(T) -> Handler { return ternary<T, T, T, T, sumOfDifference<T>>; });
}

template <class A, class B> uint32_t dot(uint32_t a, uint32_t b, uint32_t c) {
  for (int k = 0; k < 32; k += 8)
    c += static_cast<uint32_t>(static_cast<int32_t>(static_cast<A>(a >> k)) *
                               static_cast<int32_t>(static_cast<B>(b >> k)));
  return c;
}

void decodeDot(Form &f) {
  Type a = f.takeType({Type::U32, Type::S32}), b = f.takeType({Type::U32, Type::S32});
  operandsOf(f, 4, Type::B32);
  using W = uint32_t;
  if (a == Type::U32)
    f.inst.run = b == Type::U32 ? ternary<W, W, W, W, dot<uint8_t, uint8_t>>
                                : ternary<W, W, W, W, dot<uint8_t, int8_t>>;
  else
    f.inst.run =
        b == Type::U32 ? ternary<W, W, W, W, dot<int8_t, uint8_t>> : ternary<W, W, W, W, dot<int8_t, int8_t>>;
}

/// dp2a: a's halves by the low or high two bytes of b.
template <class A, class B, int kShift> uint32_t dotOfHalves(uint32_t a, uint32_t b, uint32_t c) {
  for (int k = 0; k < 2; ++k)
    c += static_cast<uint32_t>(static_cast<int32_t>(static_cast<A>(a >> 16 * k)) *
                               static_cast<int32_t>(static_cast<B>(b >> (kShift + 8 * k))));
  return c;
}

template <class A, class B> Handler dotOfHalves(bool high) {
  using W = uint32_t;
  return high ? ternary<W, W, W, W, dotOfHalves<A, B, 16>> : ternary<W, W, W, W, dotOfHalves<A, B, 0>>;
}

void decodeDotOfHalves(Form &f) {
  const bool high = f.takeOneOf({"lo", "hi"}) == 1;
  Type a = f.takeType({Type::U32, Type::S32}), b = f.takeType({Type::U32, Type::S32});
  operandsOf(f, 4, Type::B32);
  if (a == Type::U32)
    f.inst.run = b == Type::U32 ? dotOfHalves<uint16_t, uint8_t>(high) : dotOfHalves<uint16_t, int8_t>(high);
  else
    f.inst.run = b == Type::U32 ? dotOfHalves<int16_t, uint8_t>(high) : dotOfHalves<int16_t, int8_t>(high);
}

} // namespace

std::span<const Family> integerFamilies() {
  static constexpr Family kFamilies[] = {
      {"add", Data::Integer, OpClass::Integer, decodeAdd},
      {"sub", Data::Integer, OpClass::Integer, decodeSub},
      {"mul", Data::Integer, OpClass::Integer, decodeMul},
      {"mad", Data::Integer, OpClass::Integer, decodeMul},
      {"div", Data::Integer, OpClass::Integer, decodeDivide},
      {"rem", Data::Integer, OpClass::Integer, decodeDivide},
      {"min", Data::Integer, OpClass::Integer, decodeMinMax},
      {"max", Data::Integer, OpClass::Integer, decodeMinMax},
      {"neg", Data::Integer, OpClass::Integer, decodeSigned},
      {"abs", Data::Integer, OpClass::Integer, decodeSigned},
      {"sad", Data::Integer, OpClass::Integer, decodeSad},
      {"dp4a", Data::Integer, OpClass::Integer, decodeDot},
      {"dp2a", Data::Integer, OpClass::Integer, decodeDotOfHalves},
  };
  return kFamilies;
}

} // namespace cudasim
