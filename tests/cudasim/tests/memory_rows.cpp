#include "rows.h"

namespace cudasim::test {
namespace {

std::vector<Row> loads() {
  std::vector<std::vector<uint64_t>> in{{0x8070605040302010, 0xFFFFFFFFFFFFFFFF}};
  return {
      {"ld.global.u32 d, [pin];", "u32 u64", in, {0x40302010, 0xFFFFFFFF}},
      {"ld.global.u32 d, [pin+4];", "u32 u64", in, {0x80706050}},
      {"ld.global.s32 d, [pin+4];", "s32 u64", in, {0x80706050}},
      {"ld.global.b32 d, [pin];", "b32 u64", in, {0x40302010}},
      {"ld.global.f32 d, [pin];", "f32 f32", {{f(1)}}, {f(1)}},
      {"ld.global.f64 d, [pin];", "f64 f64", {{d(1)}}, {d(1)}},
      {"ld.global.u64 d, [pin];", "u64 u64", in, in[0]},
      {"ld.global.u8 d, [pin+7];", "b32 u64", in, {0x80, 0xFF}},
      {"ld.global.s8 d, [pin+7];", "b32 u64", in, {0xFFFFFF80}},
      {"ld.global.u8 d, [pin+7];", "b16 u64", in, {0x80}},
      {"ld.global.s8 d, [pin+7];", "b16 u64", in, {0xFF80}},
      {"ld.global.u16 d, [pin+6];", "b16 u64", in, {0x8070}},
      {"ld.global.s16 d, [pin+6];", "b32 u64", in, {0xFFFF8070}},
      {"ld.global.b16 d, [pin+6];", "b16 u64", in, {0x8070}},
      {"ld.global.b8 d, [pin];", "b16 u64", in, {0x10}},
      {"ld.global.u32 d, [pin+4];", "b64 u64", in, {0x80706050}},
      {"ld.global.nc.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.nc.f32 d, [pin];", "f32 f32", {{f(2)}}, {f(2)}},
      {"ld.global.nc.v2.u32 {r1, d}, [pin];", "u32 u64", in, {0x80706050}},
      {"ld.global.v2.f32 {f1, f2}, [pin]; add.f32 d, f1, f2;", "f32 u64", {{f(2) << 32 | f(1)}}, {f(3)}},
      {"ld.global.ca.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.cg.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.cs.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.lu.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.cv.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.nc.L1::no_allocate.L2::128B.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.global.L1::evict_last.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.volatile.global.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.relaxed.gpu.global.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.acquire.gpu.global.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ld.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"ldu.global.u32 d, [pin];", "u32 u64", in, {0x40302010}},
      {"prefetch.global.L2 [pin]; mov.u32 d, 1;", "u32 u64", in, {1}},
      {"prefetch.global.L1 [pin]; mov.u32 d, 1;", "u32 u64", in, {1}},
      {"prefetchu.L1 [pin]; mov.u32 d, 1;", "u32 u64", in, {1}},
  };
}

std::vector<Row> stores() {
  return {
      {"st.global.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7, 8}}, {7, 8}},
      {"st.global.f32 [pout], a; ld.global.f32 d, [pout];", "f32 f32", {{f(1)}}, {f(1)}},
      {"st.global.u64 [pout], a; ld.global.u64 d, [pout];", "u64 u64", {{~0ULL}}, {~0ULL}},
      {"st.global.f64 [pout], a; ld.global.f64 d, [pout];", "f64 f64", {{d(3)}}, {d(3)}},
      {"st.global.u8 [pout], a; ld.global.u8 d, [pout];", "b32 b32", {{0x1FB}}, {0xFB}},
      {"st.global.b8 [pout], a; ld.global.s8 d, [pout];", "b16 b16", {{0x1FB}}, {0xFFFB}},
      {"st.global.u16 [pout], a; ld.global.u16 d, [pout];", "b16 b16", {{0x1FB}}, {0x1FB}},
      {"st.global.b16 [pout], a; ld.global.b16 d, [pout];", "b16 b16", {{0x1FB}}, {0x1FB}},
      {"st.global.u32 [pout], a; ld.global.u32 d, [pout];", "u32 b64", {{0x500000007}}, {7}},
      {"st.global.v2.u32 [pout], {a, 9}; ld.global.u64 d, [pout];", "u64 u32", {{7}}, {0x900000007}},
      {"st.global.v2.f32 [pout], {a, b}; ld.global.u64 d, [pout];",
       "u64 f32 f32",
       {{f(1)}, {f(2)}},
       {f(2) << 32 | f(1)}},
      {"st.global.v4.u16 [pout], {a, a, b, b}; ld.global.u64 d, [pout];",
       "u64 b16 b16",
       {{1}, {2}},
       {0x0002000200010001}},
      {"st.global.wt.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.global.cs.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.volatile.global.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.relaxed.gpu.global.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.release.gpu.global.u32 [pout], a; ld.global.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.u32 [pout], a; ld.u32 d, [pout];", "u32 u32", {{7}}, {7}},
      {"st.local.u32 [lm+8], a; ld.local.u32 d, [lm+8];", "u32 u32", {{7, 8}}, {7, 8}},
      {"st.local.v4.u32 [lm], {a, 1, 2, 3}; ld.local.v2.u32 {r1, d}, [lm+8];", "u32 u32", {{7}}, {3}},
      {"shl.b32 r1, lane, 2; mov.u32 r2, sm; add.u32 r2, r2, r1; st.shared.u32 [r2], a; bar.sync 0; "
       "ld.shared.u32 d, [r2];",
       "u32 u32",
       {{7, 8}},
       {7, 8}},
      {"shl.b32 r1, lane, 4; mov.u32 r2, sm; add.u32 r2, r2, r1; st.shared.v4.f32 [r2], {a, a, b, b}; "
       "bar.sync 0; "
       "ld.shared.v4.f32 {f0, f1, f2, d}, [r2];",
       "f32 f32 f32",
       {{f(1)}, {f(2)}},
       {f(2)}},
      {"shl.b32 r1, lane, 1; mov.u32 r2, sm; add.u32 r2, r2, r1; st.shared.u16 [r2], a; bar.sync 0; "
       "ld.shared.u16 d, [r2];",
       "b16 b16",
       {{7, 8}},
       {7, 8}},
      {"mov.u32 r2, sm; add.u32 r2, r2, lane; st.shared.u8 [r2], a; bar.sync 0; ld.shared.u8 d, [r2];",
       "b32 b32",
       {{7, 8}},
       {7, 8}},
      {"shl.b32 r1, lane, 3; mov.u32 r2, sm; add.u32 r2, r2, r1; st.shared.u64 [r2], a; bar.sync 0; "
       "ld.shared.u64 d, [r2];",
       "u64 u64",
       {{7, ~0ULL}},
       {7, ~0ULL}},
      {"shl.b32 r1, lane, 2; mov.u32 r2, sm; add.u32 r2, r2, r1; st.volatile.shared.u32 [r2], a; bar.sync 0; "
       "ld.volatile.shared.u32 d, [r2];",
       "u32 u32",
       {{7, 8}},
       {7, 8}},
  };
}

std::vector<Row> atomics() {
  // Each lane has its own place; the result is what was there before, then what is there now.
  auto both = [](const std::string &opcode, const std::string &type, uint64_t old, uint64_t operand,
                 uint64_t now) {
    std::string store = "st.global.u64 [pout], a; ", returns = "atom.global." + opcode + "." + type,
                reduces = "red.global." + opcode + "." + type;
    int bits = std::stoi(type.substr(1));
    std::string types = "b" + std::to_string(bits) + " u64 b" + std::to_string(bits);
    return std::vector<Row>{
        {store + returns + " d, [pout], b;", types, {{old}, {operand}}, {old}},
        {store + reduces + " [pout], b; ld.global.b" + std::to_string(bits) + " d, [pout];",
         types,
         {{old}, {operand}},
         {now}},
    };
  };
  std::vector<Row> rows{
      {"st.global.u64 [pout], a; atom.global.exch.b32 r1, [pout], b; ld.global.b32 d, [pout];",
       "b32 u64 b32",
       {{1}, {2}},
       {2}},
      {"st.global.u64 [pout], a; atom.global.exch.b64 l1, [pout], b; ld.global.b64 d, [pout];",
       "b64 u64 b64",
       {{1}, {2}},
       {2}},
      {"st.global.u64 [pout], a; atom.global.cas.b32 r1, [pout], b, c; ld.global.b32 d, [pout];",
       "b32 u64 b32 b32",
       {{5}, {5, 6}, {9}},
       {9, 5}},
      {"st.global.u64 [pout], a; atom.global.cas.b64 d, [pout], b, c;",
       "b64 u64 b64 b64",
       {{5}, {5}, {9}},
       {5}},
      {"st.global.u64 [pout], a; atom.relaxed.gpu.global.cas.b32 d, [pout], b, c;",
       "b32 u64 b32 b32",
       {{5}, {5}, {9}},
       {5}},
      {"st.global.u64 [pout], a; atom.acq_rel.gpu.global.add.u32 d, [pout], b;",
       "b32 u64 b32",
       {{5}, {5}},
       {5}},
      {"mov.u32 r1, sm; setp.eq.u32 p0, lane, 0; @p0 st.shared.u32 [r1], 5; bar.sync 0; atom.shared.add.u32 "
       "r2, [r1], 1; bar.sync 0; "
       "ld.shared.u32 d, [r1];",
       "u32",
       {},
       {37, 37}},
  };
  for (const auto &some : {both("add", "u32", 5, 7, 12),         both("add", "s32", 5, i(-7), i(-2)),
                           both("add", "u64", 5, 7, 12),         both("add", "f32", f(1), f(2), f(3)),
                           both("add", "f64", d(1), d(2), d(3)), both("min", "s32", 1, i(-1), i(-1)),
                           both("min", "u32", 1, i(-1), 1),      both("max", "s32", 1, i(-1), 1),
                           both("max", "u32", 1, i(-1), i(-1)),  both("min", "u64", 5, 3, 3),
                           both("max", "u64", 5, 7, 7),          both("min", "s64", 5, ~0ULL, ~0ULL),
                           both("max", "s64", 5, ~0ULL, 5),      both("and", "b32", 12, 10, 8),
                           both("or", "b32", 12, 10, 14),        both("xor", "b32", 12, 10, 6),
                           both("and", "b64", 12, 10, 8),        both("or", "b64", 12, 10, 14),
                           both("xor", "b64", 12, 10, 6),        both("inc", "u32", 3, 5, 4),
                           both("inc", "u32", 5, 5, 0),          both("dec", "u32", 3, 5, 2),
                           both("dec", "u32", 0, 5, 5)})
    rows.insert(rows.end(), some.begin(), some.end());
  return rows;
}

} // namespace

std::vector<Row> memoryRows() {
  std::vector<Row> rows;
  for (auto part : {loads, stores, atomics})
    for (const Row &row : part())
      rows.push_back(row);
  return rows;
}

} // namespace cudasim::test
