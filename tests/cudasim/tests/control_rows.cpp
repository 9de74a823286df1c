#include "rows.h"

namespace cudasim::test {

std::vector<Row> controlRows() {
  return {
      {"mov.u32 d, 1; @a bra THERE; mov.u32 d, 2; THERE:", "u32 pred", {{1, 0}}, {1, 2}},
      {"mov.u32 d, 1; bra.uni THERE; mov.u32 d, 2; THERE:", "u32", {}, {1}},
      // A loop whose count differs by lane.
      {"mov.u32 d, 0; mov.u32 r1, 0; LOOP: setp.ge.u32 p0, r1, a; @p0 bra DONE; add.u32 d, d, 2; add.u32 r1, "
       "r1, 1; bra LOOP; DONE:",
       "u32 u32",
       {{0, 1, 2, 3, 4}},
       {0, 2, 4, 6, 8}},
      // Diverged lanes meet again before the shuffle.
      {"@a bra ODD; mov.u32 d, 10; bra JOIN; ODD: mov.u32 d, 20; JOIN: shfl.sync.bfly.b32 d, d, 1, 31, -1;",
       "u32 pred",
       {{0, 1, 0, 1}},
       {20, 10, 20, 10}},
      {"st.global.u64 [pout], 3; @a ret; mov.u32 d, 4;", "u32 pred", {{1, 0}}, {3, 4}},
      {"st.global.u64 [pout], 3; @a exit; mov.u32 d, 4;", "u32 pred", {{1, 0}}, {3, 4}},
      {"mov.u32 d, 1; @a trap;", "u32 pred", {{0}}, {1}},
      {"bar.sync 0; mov.u32 d, 1;", "u32", {}, {1}},
      {"barrier.sync 0; mov.u32 d, 1;", "u32", {}, {1}},
      {"barrier.sync.aligned 0; mov.u32 d, 1;", "u32", {}, {1}},
      {"bar.warp.sync -1; mov.u32 d, 1;", "u32", {}, {1}},
      {"bar.red.popc.u32 d, 0, a;", "u32 pred", {{1, 0}}, {1, 1}},
      {"bar.red.popc.u32 d, 0, !a;", "u32 pred", {{1, 0}}, {31, 31}},
      {"bar.red.or.pred d, 0, a;", "pred pred", {{1, 0}}, {1, 1}},
      {"bar.red.and.pred d, 0, a;", "pred pred", {{1, 0}}, {0, 0}},
      {"membar.gl; mov.u32 d, 1;", "u32", {}, {1}},
      {"membar.cta; mov.u32 d, 1;", "u32", {}, {1}},
      {"membar.sys; mov.u32 d, 1;", "u32", {}, {1}},
      {"fence.acq_rel.gpu; mov.u32 d, 1;", "u32", {}, {1}},
      {"fence.sc.cta; mov.u32 d, 1;", "u32", {}, {1}},
      {"nanosleep.u32 20; mov.u32 d, 1;", "u32", {}, {1}},
      {"{ .reg .b32 r1; mov.b32 r1, 5; mov.b32 d, r1; }",
       "u32",
       {},
       {5}}, // a scope's register hides the one around
  };
}

} // namespace cudasim::test
