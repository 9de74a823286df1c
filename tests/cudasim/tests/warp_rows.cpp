#include "rows.h"

namespace cudasim::test {
namespace {

std::vector<uint64_t> perLane(uint64_t (*value)(uint32_t lane)) {
  std::vector<uint64_t> result;
  for (uint32_t lane = 0; lane < 32; ++lane)
    result.push_back(value(lane));
  return result;
}

std::vector<Row> shuffles() {
  auto plus100 = perLane([](uint32_t l) { return uint64_t{l} + 100; });
  std::vector<std::vector<uint64_t>> in{plus100};
  return {
      {"shfl.sync.idx.b32 d, a, 5, 31, -1;", "b32 b32", in, perLane([](uint32_t) { return uint64_t{105}; })},
      {"shfl.sync.bfly.b32 d, a, 16, 31, 0xFFFFFFFF;", "b32 b32", in,
       perLane([](uint32_t l) { return uint64_t{(l ^ 16) + 100}; })},
      {"shfl.sync.up.b32 d, a, 3, 0, -1;", "b32 b32", in,
       perLane([](uint32_t l) { return uint64_t{(l < 3 ? l : l - 3) + 100}; })},
      {"shfl.sync.down.b32 d, a, 3, 31, -1;", "b32 b32", in,
       perLane([](uint32_t l) { return uint64_t{(l > 28 ? l : l + 3) + 100}; })},
      // Segments of 8 lanes: c = 31 - 7 in bits 8 … 12 and the clamp in bits 0 … 4.
      {"shfl.sync.down.b32 d, a, 1, 0x1807, -1;", "b32 b32", in,
       perLane([](uint32_t l) { return uint64_t{(l % 8 == 7 ? l : l + 1) + 100}; })},
      {"shfl.sync.idx.b32 d, a, 2, 0x181F, -1;", "b32 b32", in,
       perLane([](uint32_t l) { return uint64_t{l / 8 * 8 + 2 + 100}; })},
      {"shfl.sync.down.b32 r1|d, a, 3, 31, -1;", "pred b32", in,
       perLane([](uint32_t l) { return uint64_t{l <= 28}; })},
      {"setp.lt.u32 p0, lane, 16; mov.b32 d, 0; @p0 shfl.sync.bfly.b32 d, a, 1, 31, 0xFFFF;", "b32 b32", in,
       perLane([](uint32_t l) { return l < 16 ? uint64_t{(l ^ 1) + 100} : 0; })},
  };
}

std::vector<Row> votes() {
  auto odd = perLane([](uint32_t l) { return uint64_t{l % 2}; });
  return {
      {"vote.sync.ballot.b32 d, a, -1;", "b32 pred", {odd}, {0xAAAAAAAA}},
      {"vote.sync.ballot.b32 d, !a, -1;", "b32 pred", {odd}, {0x55555555}},
      {"vote.sync.any.pred d, a, -1;", "pred pred", {odd}, {1, 1}},
      {"vote.sync.all.pred d, a, -1;", "pred pred", {odd}, {0, 0}},
      {"vote.sync.all.pred d, a, -1;", "pred pred", {{1}}, {1}},
      {"vote.sync.uni.pred d, a, -1;", "pred pred", {odd}, {0}},
      {"vote.sync.uni.pred d, a, -1;", "pred pred", {{0}}, {1}},
      {"match.any.sync.b32 d, a, -1;", "b32 b32", {odd}, {0x55555555, 0xAAAAAAAA}},
      {"match.any.sync.b64 d, a, -1;", "b32 b64", {odd}, {0x55555555, 0xAAAAAAAA}},
      {"match.all.sync.b32 d, a, -1;", "b32 b32", {{5}}, {0xFFFFFFFF}},
      {"match.all.sync.b32 r1|d, a, -1;", "pred b32", {odd}, {0}},
      {"match.all.sync.b64 d, a, -1;", "b32 b64", {odd}, {0}},
      {"redux.sync.add.u32 d, a, -1;", "u32 u32", {odd}, {16, 16}},
      {"redux.sync.add.s32 d, a, -1;", "s32 s32", {{i(-1)}}, {i(-32)}},
      {"redux.sync.min.s32 d, a, -1;", "s32 s32", {{i(-1), 5}}, {i(-1)}},
      {"redux.sync.max.s32 d, a, -1;", "s32 s32", {{i(-1), 5}}, {5}},
      {"redux.sync.min.u32 d, a, -1;", "u32 u32", {{i(-1), 5}}, {5}},
      {"redux.sync.max.u32 d, a, -1;", "u32 u32", {{i(-1), 5}}, {i(-1)}},
      {"redux.sync.and.b32 d, a, -1;", "b32 b32", {{12, 10}}, {8}},
      {"redux.sync.or.b32 d, a, -1;", "b32 b32", {{12, 10}}, {14}},
      {"redux.sync.xor.b32 d, a, -1;", "b32 b32", {{12, 10}}, {6}}, // 12 once, 10 an odd number of times
      {"activemask.b32 d;", "b32", {}, {0xFFFFFFFF}},
      {"mov.b32 d, 0; @a activemask.b32 d;", "b32 pred", {odd}, {0, 0xAAAAAAAA}},
  };
}

} // namespace

std::vector<Row> warpRows() {
  std::vector<Row> rows = shuffles();
  for (const Row &row : votes())
    rows.push_back(row);
  return rows;
}

} // namespace cudasim::test
