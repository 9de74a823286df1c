// Arithmetic of f16, bf16 and pairs of them: exact in double (products) or rounded to odd (sums), then rounded once.
#include "machine/decoder.h"
#include "machine/float.h"

namespace cudasim {
namespace {

struct Half {
  static double from(uint16_t h) { return halfToFloat(h); }
  static uint16_t to(double x) { return toHalf(x); }
  static constexpr uint16_t kNaN = 0x7FFF;
};
struct Bfloat {
  static double from(uint16_t b) { return bfloatToFloat(b); }
  static uint16_t to(double x) { return toBfloat(x); }
  static constexpr uint16_t kNaN = 0x7FFF;
};

double add(double a, double b, double) { return addToOdd(a, b); }
double sub(double a, double b, double) { return addToOdd(a, -b); }
double mul(double a, double b, double) { return a * b; }
double fused(double a, double b, double c) { return addToOdd(a * b, c); }
double minimum(double a, double b, double) { return a < b || b != b || (a == b && std::signbit(a)) ? a : b; }
double maximum(double a, double b, double) { return a > b || b != b || (a == b && std::signbit(b)) ? a : b; }
double minimumNaN(double a, double b, double) { return a != a || b != b ? NAN : minimum(a, b, 0); }
double maximumNaN(double a, double b, double) { return a != a || b != b ? NAN : maximum(a, b, 0); }

enum Finish : uint8_t { kSaturates = 1, kRelu = 2, kFlushes = 4 };

template <class N> double enter(uint16_t bits, uint8_t how) {
  bool subnormal = (how & kFlushes) && !(bits & 0x7C00);
  return subnormal ? std::copysign(0.0, N::from(bits)) : N::from(bits);
}

template <class N> uint16_t leave(double x, uint8_t how) {
  if (how & kSaturates)
    x = saturate01(x);
  if (how & kRelu)
    x = x > 0 || x != x ? x : 0;
  uint16_t bits = N::to(x);
  return (how & kFlushes) && !(bits & 0x7C00) ? bits & 0x8000 : bits;
}

template <class N, class T, auto F> void apply(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]), *c = lanes<T>(w, i.slots[3]);
  forEach(w.mask, [&](int l) {
    T result = 0;
    for (size_t shift = 0; shift < sizeof(T) * 8; shift += 16) {
      auto part = [&](T v) { return enter<N>(static_cast<uint16_t>(v >> shift), i.b); };
      result |= static_cast<T>(static_cast<T>(leave<N>(F(part(a[l]), part(b[l]), part(c[l])), i.b)) << shift);
    }
    d[l] = result;
  });
}

template <auto F> Handler handler(Type type) {
  switch (type) {
  case Type::F16: return apply<Half, uint16_t, F>;
  case Type::F16x2: return apply<Half, uint32_t, F>;
  case Type::BF16: return apply<Bfloat, uint16_t, F>;
  default: return apply<Bfloat, uint32_t, F>;
  }
}

Type halfType(Form &f) {
  using enum Type;
  return f.takeType({F16, F16x2, BF16, BF16x2});
}

void operandsOf(Form &f, Type type, size_t count) {
  f.expectOperands(count);
  f.inst.slots[0] = f.destination(0, type);
  for (size_t k = 1; k < 4; ++k)
    f.inst.slots[k] = f.source(std::min(k, count - 1), type);
}

bool isBfloat(Type type) { return type == Type::BF16 || type == Type::BF16x2; }

template <auto F> void decodeArithmetic(Form &f) {
  f.skip({"rn"});
  f.inst.b = static_cast<uint8_t>((f.take("sat") ? kSaturates : 0) | (f.take("relu") ? kRelu : 0) |
                                  (f.take("ftz") ? kFlushes : 0));
  Type type = halfType(f);
  f.needs(!isBfloat(type) ? 75 : f.opcode() == "fma" ? 80 : 90);
  operandsOf(f, type, f.opcode() == "fma" ? 4 : 3);
  f.inst.run = handler<F>(type);
}

template <auto Plain, auto WithNaN> void decodeExtremum(Form &f) {
  f.inst.b = f.take("ftz") ? kFlushes : 0;
  bool nan = f.take("NaN");
  Type type = halfType(f);
  f.needs(80);
  operandsOf(f, type, 3);
  f.inst.run = nan ? handler<WithNaN>(type) : handler<Plain>(type);
}

template <class T, T kBits, bool kClear> T sign(T a) {
  return static_cast<T>(kClear ? a & static_cast<T>(~kBits) : a ^ kBits);
}

void decodeSign(Form &f) {
  f.skip({"ftz"});
  Type type = halfType(f);
  f.expectOperands(2);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  bool clear = f.opcode() == "abs";
  using W = uint32_t;
  using N = uint16_t;
  if (ptx::bytesOf(type) == 4)
    f.inst.run = clear ? unary<W, W, sign<W, 0x80008000U, true>> : unary<W, W, sign<W, 0x80008000U, false>>;
  else
    f.inst.run = clear ? unary<N, N, sign<N, 0x8000, true>> : unary<N, N, sign<N, 0x8000, false>>;
}

} // namespace

std::span<const Family> halfFamilies() {
  static constexpr OpClass kHalf = OpClass::Half;
  static constexpr Family kFamilies[] = {
      {"add", Data::Half, kHalf, decodeArithmetic<add>},
      {"sub", Data::Half, kHalf, decodeArithmetic<sub>},
      {"mul", Data::Half, kHalf, decodeArithmetic<mul>},
      {"fma", Data::Half, kHalf, decodeArithmetic<fused>},
      {"min", Data::Half, kHalf, decodeExtremum<minimum, minimumNaN>},
      {"max", Data::Half, kHalf, decodeExtremum<maximum, maximumNaN>},
      {"neg", Data::Half, kHalf, decodeSign},
      {"abs", Data::Half, kHalf, decodeSign},
  };
  return kFamilies;
}

} // namespace cudasim
