#include "rows.h"
#include <cmath>
#include <limits>

namespace cudasim::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr uint64_t kNaN = 0x7FC00000, kTiny = 1; // the smallest subnormal
constexpr float kEps = 0x1p-24F;                 // half a unit in the last place of 1
const float kUp = std::nextafter(1.0F, 2.0F), kDown = std::nextafter(1.0F, 0.0F);

std::vector<Row> arithmeticRows() {
  return {
      {"add.f32 d, a, b;", "f32 f32 f32", {{f(1), f(1), kTiny}, {f(2), f(kEps), 0}}, {f(3), f(1), kTiny}},
      {"add.rn.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(0x1.8p-24F)}}, {f(kUp)}},
      {"add.rz.f32 d, a, b;", "f32 f32 f32", {{f(1), f(-1)}, {f(0x1.8p-24F), f(-0x1.8p-24F)}}, {f(1), f(-1)}},
      {"add.rm.f32 d, a, b;", "f32 f32 f32", {{f(1), f(-1)}, {f(0x1.8p-24F), f(-0x1p-30F)}}, {f(1), f(-kUp)}},
      {"add.rp.f32 d, a, b;", "f32 f32 f32", {{f(1), f(-1)}, {f(0x1p-30F), f(-0x1p-30F)}}, {f(kUp), f(-1)}},
      {"add.ftz.f32 d, a, b;",
       "f32 f32 f32",
       {{kTiny, f(0x1p-126F)}, {kTiny, f(-0x1.8p-126F)}},
       {0, 0x80000000}},
      {"add.sat.f32 d, a, b;",
       "f32 f32 f32",
       {{f(1), f(-1), f(.25F), kNaN}, {f(1), f(0), f(.5F), 0}},
       {f(1), 0, f(.75F), 0}},
      {"add.rn.ftz.sat.f32 d, a, b;", "f32 f32 f32", {{kTiny}, {f(.5F)}}, {f(.5F)}},
      {"sub.f32 d, a, b;", "f32 f32 f32", {{f(1), f(kInf)}, {f(3), f(1)}}, {f(-2), f(kInf)}},
      {"sub.rz.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(0x1p-30F)}}, {f(kDown)}},
      {"sub.rm.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(0x1p-30F)}}, {f(kDown)}},
      {"sub.rp.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(0x1p-30F)}}, {f(1)}},
      {"sub.ftz.f32 d, a, b;", "f32 f32 f32", {{f(0x1.8p-126F)}, {f(0x1p-126F)}}, {0}},
      {"sub.sat.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(3)}}, {0}},
      {"mul.f32 d, a, b;",
       "f32 f32 f32",
       {{f(3), f(0x1p-100F)}, {f(-2), f(0x1p-40F)}},
       {f(-6), f(0x1p-140F)}},
      {"mul.rn.f32 d, a, b;", "f32 f32 f32", {{f(1.1F)}, {f(1.1F)}}, {f(1.1F * 1.1F)}},
      {"mul.rz.f32 d, a, b;", "f32 f32 f32", {{f(kDown)}, {f(kDown)}}, {f(std::nextafter(kDown, 0.0F))}},
      {"mul.rm.f32 d, a, b;",
       "f32 f32 f32",
       {{f(-kUp)}, {f(kUp)}},
       {f(-std::nextafter(kUp + kEps * 2, 2.0F))}},
      {"mul.rp.f32 d, a, b;", "f32 f32 f32", {{f(kDown)}, {f(kDown)}}, {f(kDown)}},
      {"mul.ftz.f32 d, a, b;", "f32 f32 f32", {{f(0x1p-100F)}, {f(0x1p-40F)}}, {0}},
      {"mul.sat.f32 d, a, b;", "f32 f32 f32", {{f(3)}, {f(2)}}, {f(1)}},
      {"fma.rn.f32 d, a, b, c;",
       "f32 f32 f32 f32",
       {{f(kUp), f(2)}, {f(kUp), f(3)}, {f(-1), f(4)}},
       {f(0x1p-22F + 0x1p-46F), f(10)}},
      {"fma.rz.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(1)}, {f(1)}, {f(0x1.8p-24F)}}, {f(1)}},
      {"fma.rm.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(1)}, {f(1)}, {f(-0x1p-40F)}}, {f(kDown)}},
      {"fma.rp.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(1)}, {f(1)}, {f(0x1p-40F)}}, {f(kUp)}},
      {"fma.rn.ftz.f32 d, a, b, c;", "f32 f32 f32 f32", {{kTiny}, {f(0x1p100F)}, {f(2)}}, {f(2)}},
      {"fma.rn.sat.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(2)}, {f(2)}, {f(2)}}, {f(1)}},
      {"mad.rn.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(kUp)}, {f(kUp)}, {f(-1)}}, {f(0x1p-22F + 0x1p-46F)}},
      {"div.rn.f32 d, a, b;", "f32 f32 f32", {{f(1), f(1)}, {f(3), 0}}, {f(1.0F / 3), f(kInf)}},
      {"div.rz.f32 d, a, b;", "f32 f32 f32", {{f(2)}, {f(3)}}, {0x3F2AAAAA}},
      {"div.rm.f32 d, a, b;", "f32 f32 f32", {{f(-1)}, {f(3)}}, {0xBEAAAAAB}},
      {"div.rp.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {f(3)}}, {0x3EAAAAAB}},
      {"div.rn.ftz.f32 d, a, b;", "f32 f32 f32", {{kTiny}, {f(0x1p-100F)}}, {0}},
      {"rcp.rn.f32 d, a;", "f32 f32", {{f(3), f(4)}}, {f(1.0F / 3), f(.25F)}},
      {"rcp.rz.f32 d, a;", "f32 f32", {{f(3)}}, {0x3EAAAAAA}},
      {"rcp.rm.f32 d, a;", "f32 f32", {{f(3)}}, {0x3EAAAAAA}},
      {"rcp.rp.f32 d, a;", "f32 f32", {{f(3)}}, {0x3EAAAAAB}},
      {"sqrt.rn.f32 d, a;", "f32 f32", {{f(2), f(9), 0x80000000}}, {f(std::sqrt(2.0F)), f(3), 0x80000000}},
      {"sqrt.rz.f32 d, a;", "f32 f32", {{f(3)}}, {0x3FDDB3D7}},
      {"sqrt.rm.f32 d, a;", "f32 f32", {{f(3)}}, {0x3FDDB3D7}},
      {"sqrt.rp.f32 d, a;", "f32 f32", {{f(3)}}, {0x3FDDB3D8}},
      {"sqrt.rn.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {0}},
      {"neg.f32 d, a;", "f32 f32", {{f(3), 0}}, {f(-3), 0x80000000}},
      {"neg.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {0x80000000}},
      {"abs.f32 d, a;", "f32 f32", {{f(-3), 0x80000000}}, {f(3), 0}},
      {"abs.ftz.f32 d, a;", "f32 f32", {{0x80000001}}, {0}},
      {"copysign.f32 d, a, b;", "f32 f32 f32", {{f(-1), f(1)}, {f(3), f(-3)}}, {f(-3), f(3)}},
      {"min.f32 d, a, b;",
       "f32 f32 f32",
       {{f(1), kNaN, 0}, {f(2), f(2), 0x80000000}},
       {f(1), f(2), 0x80000000}},
      {"min.ftz.f32 d, a, b;", "f32 f32 f32", {{kTiny}, {f(2)}}, {0}},
      {"min.NaN.f32 d, a, b;", "f32 f32 f32", {{kNaN}, {f(2)}}, {0x7FFFFFFF}},
      {"max.f32 d, a, b;", "f32 f32 f32", {{f(1), kNaN, 0x80000000}, {f(2), f(2), 0}}, {f(2), f(2), 0}},
      {"max.ftz.f32 d, a, b;", "f32 f32 f32", {{kTiny}, {f(-2)}}, {0}},
      {"max.NaN.f32 d, a, b;", "f32 f32 f32", {{f(1)}, {kNaN}}, {0x7FFFFFFF}},
      {"max.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(1)}, {f(3)}, {f(2)}}, {f(3)}, 100},
      {"min.f32 d, a, b, c;", "f32 f32 f32 f32", {{f(1)}, {f(3)}, {f(-2)}}, {f(-2)}, 100},
  };
}

std::vector<Row> doubleRows() {
  constexpr double kUp64 = 1 + 0x1p-52;
  return {
      {"add.f64 d, a, b;", "f64 f64 f64", {{d(1)}, {d(.1)}}, {d(1.1)}},
      {"add.rz.f64 d, a, b;", "f64 f64 f64", {{d(1)}, {d(0x1.8p-53)}}, {d(1)}},
      {"sub.f64 d, a, b;", "f64 f64 f64", {{d(1)}, {d(3)}}, {d(-2)}},
      {"mul.f64 d, a, b;", "f64 f64 f64", {{d(1.5)}, {d(3)}}, {d(4.5)}},
      {"mul.rp.f64 d, a, b;", "f64 f64 f64", {{d(kUp64)}, {d(kUp64)}}, {d(1 + 0x1.8p-51)}},
      {"fma.rn.f64 d, a, b, c;",
       "f64 f64 f64 f64",
       {{d(kUp64)}, {d(kUp64)}, {d(-1)}},
       {d(0x1p-51 + 0x1p-104)}},
      {"fma.rm.f64 d, a, b, c;", "f64 f64 f64 f64", {{d(1)}, {d(1)}, {d(-0x1p-80)}}, {d(1 - 0x1p-53)}},
      {"mad.rn.f64 d, a, b, c;", "f64 f64 f64 f64", {{d(2)}, {d(3)}, {d(1)}}, {d(7)}},
      {"div.rn.f64 d, a, b;", "f64 f64 f64", {{d(1)}, {d(3)}}, {d(1.0 / 3)}},
      {"rcp.rn.f64 d, a;", "f64 f64", {{d(3)}}, {d(1.0 / 3)}},
      {"rcp.approx.ftz.f64 d, a;",
       "f64 f64",
       {{d(4), d(3), d(0)}},
       {d(.25), 0x3FD5555500000000, 0x7FF0000000000000}},
      {"rsqrt.approx.ftz.f64 d, a;", "f64 f64", {{d(4)}}, {d(.5)}},
      {"sqrt.rn.f64 d, a;", "f64 f64", {{d(2)}}, {d(std::sqrt(2.0))}},
      {"neg.f64 d, a;", "f64 f64", {{d(2)}}, {d(-2)}},
      {"abs.f64 d, a;", "f64 f64", {{d(-2)}}, {d(2)}},
      {"min.f64 d, a, b;", "f64 f64 f64", {{d(2), d(NAN)}, {d(3), d(3)}}, {d(2), d(3)}},
      {"max.f64 d, a, b;", "f64 f64 f64", {{d(2), d(NAN)}, {d(3), d(3)}}, {d(3), d(3)}},
      {"copysign.f64 d, a, b;", "f64 f64 f64", {{d(-1)}, {d(3)}}, {d(-3)}},
  };
}

// Without the seeded errors: the results are the rounded exact ones. approximate_test.cpp has the errors.
std::vector<Row> specialRows() {
  auto exp2 = [](float x) { return f(static_cast<float>(std::exp2(static_cast<double>(x)))); };
  return {
      {"ex2.approx.f32 d, a;",
       "f32 f32",
       {{f(.5F), f(-kInf), f(3), f(-130)}},
       {exp2(.5F), 0, f(8), f(0x1p-130F)}},
      {"ex2.approx.ftz.f32 d, a;", "f32 f32", {{f(-1.25F), f(-130)}}, {exp2(-1.25F), 0}},
      {"lg2.approx.f32 d, a;",
       "f32 f32",
       {{f(8), 0, f(.3F)}},
       {f(3), f(-kInf), f(static_cast<float>(std::log2(static_cast<double>(.3F))))}},
      {"lg2.approx.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {f(-kInf)}},
      {"sin.approx.f32 d, a;", "f32 f32", {{0, f(1)}}, {0, f(static_cast<float>(std::sin(1.0)))}},
      {"cos.approx.f32 d, a;", "f32 f32", {{0, f(1)}}, {f(1), f(static_cast<float>(std::cos(1.0)))}},
      {"sin.approx.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {0}},
      {"cos.approx.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {f(1)}},
      {"tanh.approx.f32 d, a;", "f32 f32", {{f(kInf), f(.5F)}}, {f(1), f(static_cast<float>(std::tanh(.5)))}},
      {"rcp.approx.f32 d, a;", "f32 f32", {{f(4), f(kInf), 0}}, {f(.25F), 0, f(kInf)}},
      {"rcp.approx.ftz.f32 d, a;", "f32 f32", {{kTiny, f(-8)}}, {f(kInf), f(-.125F)}},
      {"rsqrt.approx.f32 d, a;", "f32 f32", {{f(4), 0}}, {f(.5F), f(kInf)}},
      {"rsqrt.approx.ftz.f32 d, a;", "f32 f32", {{f(.25F)}}, {f(2)}},
      {"rsqrt.approx.f64 d, a;", "f64 f64", {{d(4)}}, {d(.5)}},
      {"sqrt.approx.f32 d, a;", "f32 f32", {{f(4)}}, {f(2)}},
      {"sqrt.approx.ftz.f32 d, a;", "f32 f32", {{kTiny}}, {0}},
      {"div.approx.f32 d, a, b;", "f32 f32 f32", {{f(1), f(1)}, {f(4), f(0x1.8p126F)}}, {f(.25F), 0}},
      {"div.approx.ftz.f32 d, a, b;", "f32 f32 f32", {{f(3)}, {f(2)}}, {f(1.5F)}},
      {"div.full.f32 d, a, b;",
       "f32 f32 f32",
       {{f(1), f(0x1p126F)}, {f(4), f(0x1.8p126F)}},
       {f(.25F), f(1.0F / 1.5F)}},
      {"div.full.ftz.f32 d, a, b;", "f32 f32 f32", {{f(3)}, {f(2)}}, {f(1.5F)}},
  };
}

} // namespace

std::vector<Row> floatRows() {
  std::vector<Row> rows = arithmeticRows();
  for (auto more : {doubleRows, specialRows}) {
    std::vector<Row> some = more();
    rows.insert(rows.end(), some.begin(), some.end());
  }
  return rows;
}

} // namespace cudasim::test
