#include "rows.h"

namespace cudasim::test {

std::vector<Row> asyncRows() {
  // Each lane copies from its operand to its own 16 bytes; 16-byte copies take two lanes' slots, so only even lanes do.
  std::string own = "shl.b32 r1, lane, 4; mov.u32 r2, sm; add.u32 r2, r2, r1; ";
  std::string even = own + "and.b32 r3, lane, 1; setp.eq.u32 p0, r3, 0; mov.b64 d, 0; ";
  std::vector<std::vector<uint64_t>> in{{0x1111111122222222, 0x3333333344444444}};
  return {
      {own + "cp.async.ca.shared.global [r2], [pin], 4; cp.async.commit_group; cp.async.wait_group 0; "
             "ld.shared.u32 d, [r2];",
       "u32 u64",
       in,
       {0x22222222, 0x44444444}},
      {own + "cp.async.ca.shared.global [r2], [pin], 8; cp.async.wait_all; ld.shared.u64 d, [r2];", "u64 u64",
       in, in[0]},
      {own + "cp.async.ca.shared.global [r2], [pin+4], 4; cp.async.wait_all; ld.shared.u32 d, [r2];",
       "u32 u64",
       in,
       {0x11111111, 0x33333333}},
      {even +
           "@p0 cp.async.ca.shared.global [r2], [pin], 16; cp.async.wait_all; @p0 ld.shared.u64 d, [r2+8];",
       "u64 u64",
       in,
       {0x3333333344444444, 0}},
      {even +
           "@p0 cp.async.cg.shared.global [r2], [pin], 16; cp.async.wait_all; @p0 ld.shared.u64 d, [r2+8];",
       "u64 u64",
       in,
       {0x3333333344444444, 0}},
      // The fourth operand: so many bytes are copied, the rest is zero; with 0 the source is not looked at.
      {own + "cp.async.ca.shared.global [r2], [pin], 8, a; cp.async.wait_all; ld.shared.u64 d, [r2];",
       "u64 u32",
       {{4, 0}},
       {4, 0}},
      {own + "mov.b64 l1, 0; cp.async.ca.shared.global [r2], [l1], 4, 0; cp.async.wait_all; ld.shared.u32 d, "
             "[r2];",
       "u32",
       {},
       {0}},
      {even + "mov.u32 r4, 12; @p0 cp.async.cg.shared.global [r2], [pin], 16, r4; cp.async.wait_all; @p0 "
              "ld.shared.u64 d, [r2+8];",
       "u64 u64",
       in,
       {0x44444444}},
      // Of two groups the older one has landed.
      {own + "cp.async.ca.shared.global [r2], [pin], 4; cp.async.commit_group; cp.async.ca.shared.global "
             "[r2+4], [pin+4], 4; "
             "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 d, [r2];",
       "u32 u64",
       in,
       {0x22222222}},
      {own + "cp.async.ca.shared.global.L2::128B [r2], [pin], 4; cp.async.wait_all; ld.shared.u32 d, [r2];",
       "u32 u64",
       in,
       {0x22222222}},
  };
}

} // namespace cudasim::test
