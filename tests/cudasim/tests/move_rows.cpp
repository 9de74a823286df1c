#include "rows.h"

namespace cudasim::test {

std::vector<Row> moveRows() {
  return {
      {"mov.b32 d, a;", "b32 b32", {{5}}, {5}},
      {"mov.u32 d, 7;", "u32", {}, {7}},
      {"mov.s32 d, -7;", "s32", {}, {i(-7)}},
      {"mov.u32 d, %tid.x;", "u32", {}, {0, 1, 2}},
      {"mov.u32 d, %ntid.x;", "u32", {}, {32}},
      {"mov.u32 d, %ctaid.x;", "u32", {}, {0}},
      {"mov.u32 d, %nctaid.x;", "u32", {}, {1}},
      {"mov.u32 d, %laneid;", "u32", {}, {0, 1, 2}},
      {"mov.u32 d, %lanemask_lt;", "u32", {}, {0, 1, 3}},
      {"mov.u32 d, %lanemask_le;", "u32", {}, {1, 3, 7}},
      {"mov.u32 d, %lanemask_eq;", "u32", {}, {1, 2, 4}},
      {"mov.u32 d, %lanemask_gt;", "u32", {}, {~1U, ~3U, ~7U}},
      {"mov.u32 d, %lanemask_ge;", "u32", {}, {~0U, ~1U, ~3U}},
      {"mov.u32 d, %dynamic_smem_size;", "u32", {}, {0}},
      {"mov.f32 d, 0f3F800000;", "f32", {}, {f(1)}},
      {"mov.f32 d, a;", "f32 f32", {{f(2)}}, {f(2)}},
      {"mov.f64 d, 0d3FF0000000000000;", "f64", {}, {d(1)}},
      {"mov.u64 d, a;", "u64 u64", {{~0ULL}}, {~0ULL}},
      {"mov.b64 d, {a, b};", "b64 b32 b32", {{1}, {2}}, {0x200000001}},
      {"mov.b64 {r1, d}, a;", "b32 b64", {{0x500000001}}, {5}},
      {"mov.b64 {d, _}, a;", "b32 b64", {{0x500000001}}, {1}},
      {"mov.b64 d, {a, b, a, b};", "b64 b16 b16", {{1}, {2}}, {0x0002000100020001}},
      {"mov.b64 {h0, h1, d, h2}, a;", "b16 b64", {{0x0004000300020001}}, {3}},
      {"mov.b32 d, {a, b};", "b32 b16 b16", {{0x1111}, {0x2222}}, {0x22221111}},
      {"mov.b32 {h0, d}, a;", "b16 b32", {{0x22221111}}, {0x2222}},
      {"mov.b16 d, a;", "b16 b16", {{7}}, {7}},
      {"mov.u16 d, 0xFFFF;", "u16", {}, {0xFFFF}},
      {"mov.pred d, a;", "pred pred", {{0, 1}}, {0, 1}},
      {"mov.u64 l0, sm; cvt.u32.u64 d, l0;", "u32", {}, {0}},
      {"mov.u32 d, sm;", "u32", {}, {0}},
      {"@a mov.u32 d, 1; @!a mov.u32 d, 2;", "u32 pred", {{0, 1}}, {2, 1}},
      {"cvta.shared.u64 l1, b; cvta.to.shared.u64 d, l1;", "u64 u64 u64", {{0}, {24}}, {24}},
      {"cvta.global.u64 l1, pin; cvta.to.global.u64 l2, l1; sub.u64 d, l2, pin;", "u64", {}, {0}},
      {"mov.u64 l1, lm; cvta.local.u64 l2, l1; st.u32 [l2], lane; ld.local.u32 d, [lm];",
       "u32",
       {},
       {0, 1, 2}},
      {"cvta.to.local.u64 d, b;", "u64 u64 u64", {{0}, {0x5000000000000010}}, {0x10}},
  };
}

} // namespace cudasim::test
