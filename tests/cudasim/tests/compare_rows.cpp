#include "rows.h"
#include <fmt/format.h>

namespace cudasim::test {
namespace {

struct Order {
  const char *name;
  std::vector<uint64_t> results; // for (1, 2), (2, 2), (3, 2) and, of floats, (NaN, 2)
};

const Order kOrdered[] = {{"eq", {0, 1, 0, 0}}, {"ne", {1, 0, 1, 0}}, {"lt", {1, 0, 0, 0}},
                          {"le", {1, 1, 0, 0}}, {"gt", {0, 0, 1, 0}}, {"ge", {0, 1, 1, 0}}};
const Order kFloatOnly[] = {{"equ", {0, 1, 0, 1}}, {"neu", {1, 0, 1, 1}}, {"ltu", {1, 0, 0, 1}},
                            {"leu", {1, 1, 0, 1}}, {"gtu", {0, 0, 1, 1}}, {"geu", {0, 1, 1, 1}},
                            {"num", {1, 1, 1, 0}}, {"nan", {0, 0, 0, 1}}};

void addFloats(std::vector<Row> &rows, const char *type, const std::vector<uint64_t> &a, uint64_t b,
               int target = 80) {
  auto add = [&](const Order &order) {
    rows.push_back({fmt::format("setp.{}.{} d, a, b;", order.name, type),
                    fmt::format("pred {} {}", type, type),
                    {a, {b}},
                    order.results,
                    target});
  };
  for (const Order &order : kOrdered)
    add(order);
  for (const Order &order : kFloatOnly)
    add(order);
}

void addIntegers(std::vector<Row> &rows, const char *type) {
  for (const Order &order : kOrdered)
    rows.push_back({fmt::format("setp.{}.{} d, a, b;", order.name, type),
                    fmt::format("pred {} {}", type, type),
                    {{1, 2, 3}, {2}},
                    {order.results.begin(), order.results.begin() + 3}});
}

std::vector<Row> otherRows() {
  return {
      {"setp.lt.s32 d, a, b;", "pred s32 s32", {{i(-1)}, {1}}, {1}},
      {"setp.lt.u32 d, a, b;", "pred u32 u32", {{i(-1)}, {1}}, {0}},
      {"setp.lt.s16 d, a, b;", "pred s16 s16", {{0xFFFF}, {1}}, {1}},
      {"setp.lt.s64 d, a, b;", "pred s64 s64", {{~0ULL}, {1}}, {1}},
      {"setp.lo.u32 d, a, b;", "pred u32 u32", {{1, 2}, {2}}, {1, 0}},
      {"setp.ls.u32 d, a, b;", "pred u32 u32", {{2, 3}, {2}}, {1, 0}},
      {"setp.hi.u32 d, a, b;", "pred u32 u32", {{i(-1), 2}, {2}}, {1, 0}},
      {"setp.hs.u32 d, a, b;", "pred u32 u32", {{2, 1}, {2}}, {1, 0}},
      {"setp.eq.b32 d, a, b;", "pred b32 b32", {{5}, {5}}, {1}},
      {"setp.ne.b64 d, a, b;", "pred b64 b64", {{5}, {6}}, {1}},
      {"setp.eq.b16 d, a, b;", "pred b16 b16", {{5}, {6}}, {0}},
      {"setp.eq.ftz.f32 d, a, b;", "pred f32 f32", {{1}, {0}}, {1}},
      {"setp.lt.s32 p0|d, a, b;", "pred s32 s32", {{1, 2}, {2}}, {0, 1}},
      {"setp.lt.and.s32 d, a, b, c;", "pred s32 s32 pred", {{1, 1, 3}, {2}, {0, 1, 1}}, {0, 1, 0}},
      {"setp.lt.or.s32 d, a, b, c;", "pred s32 s32 pred", {{1, 3, 3}, {2}, {0, 1, 0}}, {1, 1, 0}},
      {"setp.lt.xor.s32 d, a, b, !c;", "pred s32 s32 pred", {{1, 3}, {2}, {0, 0}}, {0, 1}},
      {"set.gt.f32.f32 d, a, b;", "f32 f32 f32", {{f(3), f(1)}, {f(2)}}, {f(1), 0}},
      {"set.lt.u32.f32 d, a, b;", "u32 f32 f32", {{f(3), f(1)}, {f(2)}}, {0, 0xFFFFFFFF}},
      {"set.eq.u32.s32 d, a, b;", "u32 s32 s32", {{3, 2}, {2}}, {0, 0xFFFFFFFF}},
      {"set.eq.f16x2.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x3C004000}, {0x3C003C00}}, {0x3C000000}},
      {"set.ltu.f16x2.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x7E003800}, {0x3C003C00}}, {0x3C003C00}},
      {"selp.b32 d, a, b, c;", "b32 b32 b32 pred", {{1}, {2}, {1, 0}}, {1, 2}},
      {"selp.f32 d, a, b, c;", "f32 f32 f32 pred", {{f(1)}, {f(2)}, {1, 0}}, {f(1), f(2)}},
      {"selp.u32 d, a, 7, c;", "u32 u32 u32 pred", {{1}, {2}, {1, 0}}, {1, 7}},
      {"selp.s32 d, a, b, c;", "s32 s32 s32 pred", {{1}, {2}, {1, 0}}, {1, 2}},
      {"selp.b64 d, a, b, c;", "b64 b64 b64 pred", {{1}, {2}, {1, 0}}, {1, 2}},
      {"selp.f64 d, a, b, c;", "f64 f64 f64 pred", {{d(1)}, {d(2)}, {1, 0}}, {d(1), d(2)}},
      {"selp.b16 d, a, b, c;", "b16 b16 b16 pred", {{1}, {2}, {1, 0}}, {1, 2}},
      {"slct.f32.s32 d, a, b, c;", "f32 f32 f32 s32", {{f(1)}, {f(2)}, {0, i(-1)}}, {f(1), f(2)}},
      {"slct.u32.f32 d, a, b, c;", "u32 u32 u32 f32", {{1}, {2}, {0x80000000, f(-1), f(1)}}, {1, 2, 1}},
      {"slct.b64.s32 d, a, b, c;", "b64 b64 b64 s32", {{1}, {2}, {i(-5)}}, {2}},
      {"testp.finite.f32 d, a;", "pred f32", {{f(1), 0x7F800000, 0x7FC00000}}, {1, 0, 0}},
      {"testp.infinite.f32 d, a;", "pred f32", {{f(1), 0xFF800000}}, {0, 1}},
      {"testp.number.f32 d, a;", "pred f32", {{f(1), 0x7F800000, 0x7FC00000}}, {1, 1, 0}},
      {"testp.notanumber.f32 d, a;", "pred f32", {{f(1), 0x7FC00000}}, {0, 1}},
      {"testp.normal.f32 d, a;", "pred f32", {{f(1), 1, 0}}, {1, 0, 0}},
      {"testp.subnormal.f32 d, a;", "pred f32", {{f(1), 1}}, {0, 1}},
      {"testp.notanumber.f64 d, a;", "pred f64", {{d(1), 0x7FF8000000000000}}, {0, 1}},
  };
}

} // namespace

std::vector<Row> compareRows() {
  std::vector<Row> rows = otherRows();
  addFloats(rows, "f32", {f(1), f(2), f(3), 0x7FC00000}, f(2));
  addFloats(rows, "f64", {d(1), d(2), d(3), 0x7FF8000000000000}, d(2));
  addFloats(rows, "f16", {0x3C00, 0x4000, 0x4200, 0x7E00}, 0x4000);
  addFloats(rows, "bf16", {0x3F80, 0x4000, 0x4040, 0x7FC0}, 0x4000, 90);
  for (const char *type : {"s16", "u16", "s32", "u32", "s64", "u64"})
    addIntegers(rows, type);
  return rows;
}

} // namespace cudasim::test
