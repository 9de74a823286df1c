#include "rows.h"

namespace cudasim::test {
namespace {

std::vector<Row> integerConversions() {
  return {
      {"cvt.s64.s32 d, a;", "s64 s32", {{i(-5), 5}}, {~4ULL, 5}},
      {"cvt.u64.u32 d, a;", "u64 u32", {{i(-5)}}, {0xFFFFFFFB}},
      {"cvt.u32.u64 d, a;", "u32 u64", {{0x123456789ULL}}, {0x23456789}},
      {"cvt.s32.s64 d, a;", "s32 s64", {{~4ULL}}, {i(-5)}},
      {"cvt.s32.s16 d, a;", "s32 s16", {{0xFFFB}}, {i(-5)}},
      {"cvt.u32.u16 d, a;", "u32 u16", {{0xFFFB}}, {0xFFFB}},
      {"cvt.u16.u32 d, a;", "u16 u32", {{0x12345}}, {0x2345}},
      {"cvt.s64.s16 d, a;", "s64 s16", {{0xFFFB}}, {~4ULL}},
      {"cvt.u16.u64 d, a;", "u16 u64", {{0x12345}}, {0x2345}},
      {"cvt.s32.s8 d, a;", "s32 b32", {{0x1FB, 5}}, {i(-5), 5}},
      {"cvt.u32.u8 d, a;", "u32 b32", {{0x1FB}}, {0xFB}},
      {"cvt.s16.s8 d, a;", "s16 b16", {{0x1FB}}, {0xFFFB}},
      {"cvt.u16.u8 d, a;", "u16 b16", {{0x1FB}}, {0xFB}},
      {"cvt.s64.s8 d, a;", "s64 b32", {{0x1FB}}, {~4ULL}},
      {"cvt.u8.u32 d, a;", "b32 u32", {{0x1FB}}, {0xFB}},
      {"cvt.s8.s32 d, a;", "b32 s32", {{0x1FB}}, {i(-5)}},
      {"cvt.u8.u16 d, a;", "b16 u16", {{0x1FB}}, {0xFB}},
      {"cvt.sat.s8.s32 d, a;", "b32 s32", {{1000, i(-1000), 5}}, {127, i(-128), 5}},
      {"cvt.sat.u8.s32 d, a;", "b32 s32", {{1000, i(-1000), 5}}, {255, 0, 5}},
      {"cvt.sat.u16.s32 d, a;", "u16 s32", {{100000, i(-1)}}, {0xFFFF, 0}},
      {"cvt.sat.s32.s64 d, a;", "s32 s64", {{1ULL << 40, ~0ULL << 40}}, {0x7FFFFFFF, 0x80000000}},
      {"cvt.sat.u32.u64 d, a;", "u32 u64", {{1ULL << 40}}, {0xFFFFFFFF}},
      {"cvt.sat.s32.u32 d, a;", "s32 u32", {{0xFFFFFFFF}}, {0x7FFFFFFF}},
  };
}

std::vector<Row> floatToInteger() {
  std::vector<uint64_t> halves{f(2.5F), f(-2.5F), f(3.5F), f(1e20F), f(-1e20F), 0x7FC00000};
  return {
      {"cvt.rni.s32.f32 d, a;", "s32 f32", {halves}, {2, i(-2), 4, 0x7FFFFFFF, 0x80000000, 0}},
      {"cvt.rzi.s32.f32 d, a;", "s32 f32", {halves}, {2, i(-2), 3, 0x7FFFFFFF, 0x80000000, 0}},
      {"cvt.rmi.s32.f32 d, a;", "s32 f32", {halves}, {2, i(-3), 3, 0x7FFFFFFF, 0x80000000, 0}},
      {"cvt.rpi.s32.f32 d, a;", "s32 f32", {halves}, {3, i(-2), 4, 0x7FFFFFFF, 0x80000000, 0}},
      {"cvt.rzi.u32.f32 d, a;", "u32 f32", {{f(2.9F), f(-3), f(4e9F)}}, {2, 0, 4000000000}},
      {"cvt.rni.u32.f32 d, a;", "u32 f32", {{f(2.9F)}}, {3}},
      {"cvt.rzi.ftz.s32.f32 d, a;", "s32 f32", {{1}}, {0}},
      {"cvt.rpi.ftz.s32.f32 d, a;", "s32 f32", {{1}}, {0}},
      {"cvt.rzi.s64.f32 d, a;",
       "s64 f32",
       {{f(-3.7F), f(1e30F), 0x7FC00000}},
       {~2ULL, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000}},
      {"cvt.rzi.u64.f32 d, a;", "u64 f32", {{f(3.7F)}}, {3}},
      {"cvt.rzi.s32.f64 d, a;", "s32 f64", {{d(-3.7)}}, {i(-3)}},
      {"cvt.rni.s32.f64 d, a;", "s32 f64", {{d(3.5)}}, {4}},
      {"cvt.rzi.u32.f64 d, a;", "u32 f64", {{d(3e9)}}, {3000000000}},
      {"cvt.rzi.s64.f64 d, a;", "s64 f64", {{d(-1e15)}}, {static_cast<uint64_t>(-1000000000000000LL)}},
      {"cvt.rni.s64.f64 d, a;", "s64 f64", {{d(2.5)}}, {2}},
      {"cvt.rzi.s16.f32 d, a;", "s16 f32", {{f(-5), f(1e6F)}}, {0xFFFB, 0x7FFF}},
      {"cvt.rzi.u16.f32 d, a;", "u16 f32", {{f(5)}}, {5}},
      {"cvt.rzi.u8.f32 d, a;", "b32 f32", {{f(5), f(300)}}, {5, 255}},
      {"cvt.rzi.s32.f16 d, a;", "s32 f16", {{0xC100}}, {i(-2)}},
      {"cvt.rni.s32.f16 d, a;", "s32 f16", {{0x4200}}, {3}},
  };
}

std::vector<Row> integerToFloat() {
  constexpr uint64_t kOdd = (1U << 24) + 1; // halfway between two floats
  return {
      {"cvt.rn.f32.s32 d, a;", "f32 s32", {{i(-5), kOdd}}, {f(-5), f(0x1p24F)}},
      {"cvt.rz.f32.s32 d, a;", "f32 s32", {{i(-static_cast<int32_t>(kOdd) - 2)}}, {f(-0x1.000002p24F)}},
      {"cvt.rm.f32.s32 d, a;", "f32 s32", {{i(-static_cast<int32_t>(kOdd))}}, {f(-0x1.000002p24F)}},
      {"cvt.rp.f32.s32 d, a;", "f32 s32", {{kOdd}}, {f(0x1.000002p24F)}},
      {"cvt.rn.f32.u32 d, a;", "f32 u32", {{0xFFFFFFFF, kOdd + 2}}, {f(0x1p32F), f(0x1.000004p24F)}},
      {"cvt.rz.f32.u32 d, a;", "f32 u32", {{0xFFFFFFFF}}, {f(0x1.fffffep31F)}},
      {"cvt.rp.f32.u32 d, a;", "f32 u32", {{kOdd}}, {f(0x1.000002p24F)}},
      {"cvt.rn.f32.s64 d, a;", "f32 s64", {{~4ULL}}, {f(-5)}},
      {"cvt.rn.f32.u64 d, a;", "f32 u64", {{~0ULL}}, {f(0x1p64F)}},
      {"cvt.rn.f32.s16 d, a;", "f32 s16", {{0xFFFB}}, {f(-5)}},
      {"cvt.rn.f32.u16 d, a;", "f32 u16", {{0xFFFB}}, {f(65531)}},
      {"cvt.rn.f32.u8 d, a;", "f32 b32", {{0x1FF}}, {f(255)}},
      {"cvt.rn.f32.s8 d, a;", "f32 b32", {{0x1FF}}, {f(-1)}},
      {"cvt.rn.f64.s32 d, a;", "f64 s32", {{i(-5)}}, {d(-5)}},
      {"cvt.rn.f64.u32 d, a;", "f64 u32", {{i(-5)}}, {d(4294967291.0)}},
      {"cvt.rn.f64.s64 d, a;", "f64 s64", {{~4ULL}}, {d(-5)}},
      {"cvt.rn.f64.u64 d, a;", "f64 u64", {{1ULL << 63}}, {d(0x1p63)}},
      {"cvt.rn.f16.s32 d, a;", "f16 s32", {{3, 2049}}, {0x4200, 0x6800}},
      {"cvt.rn.f16.u32 d, a;", "f16 u32", {{100000}}, {0x7C00}},
      {"cvt.rn.f16.s16 d, a;", "f16 s16", {{0xFFFF}}, {0xBC00}},
  };
}

std::vector<Row> floatToFloat() {
  return {
      {"cvt.f64.f32 d, a;", "f64 f32", {{f(.1F)}}, {d(static_cast<double>(.1F))}},
      {"cvt.rn.f32.f64 d, a;", "f32 f64", {{d(.1), d(1e300)}}, {f(.1F), 0x7F800000}},
      {"cvt.rz.f32.f64 d, a;", "f32 f64", {{d(.1)}}, {0x3DCCCCCC}},
      {"cvt.rm.f32.f64 d, a;", "f32 f64", {{d(-.1)}}, {0xBDCCCCCD}},
      {"cvt.rp.f32.f64 d, a;", "f32 f64", {{d(.1)}}, {0x3DCCCCCD}},
      {"cvt.rni.f32.f32 d, a;", "f32 f32", {{f(2.5F), f(-3.5F)}}, {f(2), f(-4)}},
      {"cvt.rzi.f32.f32 d, a;", "f32 f32", {{f(2.7F), f(-2.7F)}}, {f(2), f(-2)}},
      {"cvt.rmi.f32.f32 d, a;", "f32 f32", {{f(2.7F), f(-2.7F)}}, {f(2), f(-3)}},
      {"cvt.rpi.f32.f32 d, a;", "f32 f32", {{f(2.3F), f(-2.7F)}}, {f(3), f(-2)}},
      {"cvt.sat.f32.f32 d, a;", "f32 f32", {{f(2), f(-1), f(.5F), 0x7FC00000}}, {f(1), 0, f(.5F), 0}},
      {"cvt.ftz.f32.f32 d, a;", "f32 f32", {{1, f(2)}}, {0, f(2)}},
      {"cvt.rni.ftz.f32.f32 d, a;", "f32 f32", {{f(1.5F)}}, {f(2)}},
      {"cvt.ftz.sat.f32.f32 d, a;", "f32 f32", {{1}}, {0}},
      {"cvt.rni.f64.f64 d, a;", "f64 f64", {{d(2.5)}}, {d(2)}},
      {"cvt.rzi.f64.f64 d, a;", "f64 f64", {{d(-2.5)}}, {d(-2)}},
      {"cvt.rmi.f64.f64 d, a;", "f64 f64", {{d(-2.5)}}, {d(-3)}},
      {"cvt.rpi.f64.f64 d, a;", "f64 f64", {{d(2.1)}}, {d(3)}},
      {"cvt.f32.f16 d, a;",
       "f32 f16",
       {{0x3C01, 0x0001, 0xFC00}},
       {f(1 + 0x1p-10F), f(0x1p-24F), 0xFF800000}},
      {"cvt.rn.f16.f32 d, a;",
       "f16 f32",
       {{f(1 + 0x1p-11F), f(1 + 0x1.8p-10F), f(0x1p-25F), f(0x1.8p-25F), f(70000), f(-2)}},
       {0x3C00, 0x3C02, 0, 1, 0x7C00, 0xC000}},
      {"cvt.rz.f16.f32 d, a;", "f16 f32", {{f(1 + 0x1.8p-10F), f(70000)}}, {0x3C01, 0x7BFF}},
      {"cvt.f64.f16 d, a;", "f64 f16", {{0x3800}}, {d(.5)}},
      {"cvt.rn.f16.f64 d, a;", "f16 f64", {{d(.5)}}, {0x3800}},
      {"cvt.rn.bf16.f32 d, a;",
       "bf16 f32",
       {{f(1 + 0x1p-8F), f(1 + 0x1.8p-7F), f(-2), 0x7FC00000}},
       {0x3F80, 0x3F82, 0xC000, 0x7FFF}},
      {"cvt.rz.bf16.f32 d, a;", "bf16 f32", {{f(1 + 0x1.8p-7F)}}, {0x3F81}},
      {"cvt.f32.bf16 d, a;", "f32 bf16", {{0x3F81}}, {f(1 + 0x1p-7F)}, 90},
      {"cvt.rna.tf32.f32 d, a;",
       "b32 f32",
       {{f(1 + 0x1p-11F), f(1 + 0x1p-12F), f(-1 - 0x1p-11F)}},
       {f(1 + 0x1p-10F), f(1), f(-1 - 0x1p-10F)}},
      {"cvt.rn.tf32.f32 d, a;",
       "b32 f32",
       {{f(1 + 0x1p-11F), f(1 + 0x1.8p-10F)}},
       {f(1), f(1 + 0x1p-9F)},
       90},
      {"cvt.rz.tf32.f32 d, a;", "b32 f32", {{f(1 + 0x1.8p-10F)}}, {f(1 + 0x1p-10F)}, 90},
      {"cvt.rn.f16x2.f32 d, a, b;", "f16x2 f32 f32", {{f(1)}, {f(2)}}, {0x3C004000}},
      {"cvt.rz.f16x2.f32 d, a, b;", "f16x2 f32 f32", {{f(1 + 0x1.8p-10F)}, {f(2)}}, {0x3C014000}},
      {"cvt.rn.relu.f16x2.f32 d, a, b;", "f16x2 f32 f32", {{f(-1)}, {f(2)}}, {0x00004000}},
      {"cvt.rn.bf16x2.f32 d, a, b;", "bf16x2 f32 f32", {{f(1)}, {f(2)}}, {0x3F804000}},
      {"cvt.rz.bf16x2.f32 d, a, b;", "bf16x2 f32 f32", {{f(1 + 0x1.8p-7F)}, {f(2)}}, {0x3F814000}},
      {"cvt.rn.relu.bf16x2.f32 d, a, b;", "bf16x2 f32 f32", {{f(-1)}, {f(2)}}, {0x00004000}},
  };
}

} // namespace

std::vector<Row> convertRows() {
  std::vector<Row> rows = integerConversions();
  for (auto more : {floatToInteger, integerToFloat, floatToFloat}) {
    std::vector<Row> some = more();
    rows.insert(rows.end(), some.begin(), some.end());
  }
  return rows;
}

} // namespace cudasim::test
