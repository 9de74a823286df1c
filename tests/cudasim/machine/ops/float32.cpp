// f32 arithmetic whose result PTX defines to the bit.
#include "machine/decoder.h"
#include "machine/float.h"
#include "machine/rounding.h"

namespace cudasim {
namespace {

float add(float a, float b) { return a + b; }
float sub(float a, float b) { return a - b; }
float mul(float a, float b) { return a * b; }
float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
float divide(float a, float b) { return a / b; }
float reciprocal(float a) { return 1.0F / a; }
float root(float a) { return std::sqrt(a); }
float negate(float a) { return std::bit_cast<float>(std::bit_cast<uint32_t>(a) ^ 0x80000000U); }
float absolute(float a) { return std::bit_cast<float>(std::bit_cast<uint32_t>(a) & 0x7FFFFFFFU); }
// Of a number and NaN the number; -0 is less than +0.
float minimum(float a, float b) {
  bool first = a < b || b != b || (a == b && std::bit_cast<int32_t>(a) < 0);
  return first ? a : b;
}
float maximum(float a, float b) {
  bool first = a > b || b != b || (a == b && std::bit_cast<int32_t>(b) < 0);
  return first ? a : b;
}
float minimumNaN(float a, float b) {
  return a != a || b != b ? std::bit_cast<float>(0x7FFFFFFFU) : minimum(a, b);
}
float maximumNaN(float a, float b) {
  return a != a || b != b ? std::bit_cast<float>(0x7FFFFFFFU) : maximum(a, b);
}
float copySign(float a, float b) {
  return std::bit_cast<float>((std::bit_cast<uint32_t>(a) & 0x80000000U) |
                              (std::bit_cast<uint32_t>(b) & 0x7FFFFFFFU));
}

// With .ftz operands and result are flushed, with .sat the result is clamped to [0, 1].
template <bool kFlush, bool kSaturate> float finishing(float x) {
  x = kFlush ? flush(x) : x;
  return kSaturate ? saturate01(x) : x;
}
template <bool kFlush> float entering(float x) { return kFlush ? flush(x) : x; }
template <auto F, bool kFlush, bool kSaturate> float one(float a) {
  return finishing<kFlush, kSaturate>(F(entering<kFlush>(a)));
}
template <auto F, bool kFlush, bool kSaturate> float two(float a, float b) {
  return finishing<kFlush, kSaturate>(F(entering<kFlush>(a), entering<kFlush>(b)));
}
template <auto F, bool kFlush, bool kSaturate> float three(float a, float b, float c) {
  return finishing<kFlush, kSaturate>(F(entering<kFlush>(a), entering<kFlush>(b), entering<kFlush>(c)));
}
template <auto F> float maximumOfThree(float a, float b, float c) { return F(F(a, b), c); }

using F1 = float (*)(float);
using F2 = float (*)(float, float);
using F3 = float (*)(float, float, float);
template <auto F>
constexpr size_t kArity = std::is_same_v<decltype(F), F1>   ? 1
                          : std::is_same_v<decltype(F), F2> ? 2
                                                            : 3;

template <auto F, bool kFlush, bool kSaturate> Handler handler() {
  if constexpr (kArity<F> == 1)
    return unary<float, float, one<F, kFlush, kSaturate>>;
  else if constexpr (kArity<F> == 2)
    return binary<float, float, float, two<F, kFlush, kSaturate>>;
  else
    return ternary<float, float, float, float, three<F, kFlush, kSaturate>>;
}

void operandsOf(Form &f, size_t count) {
  f.expectOperands(count);
  f.inst.slots[0] = f.destination(0, Type::F32);
  for (size_t k = 1; k < count; ++k)
    f.inst.slots[k] = f.source(k, Type::F32);
}

enum Allowed { kFlushOnly = 1, kSaturateToo = 2, kRounded = 4 };

template <auto F> void decode(Form &f, int allowed) {
  int rounding = allowed & kRounded ? f.takeOneOf({"rn", "rz", "rm", "rp"}) : 0;
  bool flushes = f.take("ftz"), saturates = (allowed & kSaturateToo) && f.take("sat");
  f.takeType({Type::F32});
  operandsOf(f, kArity<F> + 1);
  f.inst.run = flushes ? (saturates ? handler<F, true, true>() : handler<F, true, false>())
                       : (saturates ? handler<F, false, true>() : handler<F, false, false>());
  if (rounding > 0)
    f.inst.run = directed32(f.opcode(), rounding, flushes, saturates, f.inst);
}

void decodeAdd(Form &f) { decode<add>(f, kRounded | kSaturateToo); }
void decodeSub(Form &f) { decode<sub>(f, kRounded | kSaturateToo); }
void decodeMul(Form &f) { decode<mul>(f, kRounded | kSaturateToo); }
void decodeFma(Form &f) { decode<fma>(f, kRounded | kSaturateToo); }
void decodeNegate(Form &f) { decode<negate>(f, kFlushOnly); }
void decodeAbsolute(Form &f) { decode<absolute>(f, kFlushOnly); }
void decodeCopySign(Form &f) { decode<copySign>(f, 0); }

// div, rcp and sqrt also have .approx and .full forms, which approximate.cpp decodes.
void decodeDivide(Form &f) { decode<divide>(f, kRounded); }
void decodeReciprocal(Form &f) { decode<reciprocal>(f, kRounded); }
void decodeRoot(Form &f) { decode<root>(f, kRounded); }

template <auto Plain, auto WithNaN> void decodeExtremum(Form &f) {
  bool nan = f.take("NaN");
  if (f.operands() == 4) {
    f.needs(100);
    bool flushes = f.take("ftz");
    f.takeType({Type::F32});
    operandsOf(f, 4);
    f.inst.run = flushes ? handler<maximumOfThree<Plain>, true, false>()
                         : handler<maximumOfThree<Plain>, false, false>();
    if (nan)
      f.inst.run = flushes ? handler<maximumOfThree<WithNaN>, true, false>()
                           : handler<maximumOfThree<WithNaN>, false, false>();
    return;
  }
  nan ? decode<WithNaN>(f, kFlushOnly) : decode<Plain>(f, kFlushOnly);
}

} // namespace

void decodeExact32(Form &f) {
  f.opcode() == "div" ? decodeDivide(f) : f.opcode() == "rcp" ? decodeReciprocal(f) : decodeRoot(f);
}

std::span<const Family> float32Families() {
  static constexpr OpClass kFloat = OpClass::Float;
  static constexpr Family kFamilies[] = {
      {"add", Data::F32, kFloat, decodeAdd},
      {"sub", Data::F32, kFloat, decodeSub},
      {"mul", Data::F32, kFloat, decodeMul},
      {"fma", Data::F32, OpClass::Fma, decodeFma},
      {"mad", Data::F32, OpClass::Fma, decodeFma},
      {"neg", Data::F32, kFloat, decodeNegate},
      {"abs", Data::F32, kFloat, decodeAbsolute},
      {"copysign", Data::F32, kFloat, decodeCopySign},
      {"min", Data::F32, kFloat, decodeExtremum<minimum, minimumNaN>},
      {"max", Data::F32, kFloat, decodeExtremum<maximum, maximumNaN>},
  };
  return kFamilies;
}

} // namespace cudasim
