// Relayout between row-major and n16, [N][R] and [N/16][R][16]: tiles of 16 x 16 are transposed in registers.
#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/transpose.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

constexpr int64_t kTilesPerItem = 16;
constexpr double kSecondsPerTile = 35e-9;
constexpr int64_t kTilesAhead = 2; // 16 rows at once are more than the processor foresees by itself

struct Relayout {
  KernelContext &k;
  ElementEmitter m;
  Type from, to; // as [N, R]
  llvm::Value *source, *target;

  explicit Relayout(KernelContext &k) : k(k), m(k.e, k.fn, k.region()) {
    const OpData &op = k.fn[k.body().ops[0]];
    from = k.fn.type(op.operands[0]);
    to = k.fn.type(op.results[0]);
    from.shape = to.shape = Shape{from.shape[0], from.elements() / from.shape[0]};
    source = k.e.buffer(0);
    target = k.e.buffer(1);
  }

  /// Example n0 + j and position r0 + lane (row-major), or position r0 + j and example n0 + lane (n16).
  LaneIndex at(const Type &type, LaneValue n, LaneValue r, int64_t j, llvm::Value *mask) {
    if (type.layout.empty()) {
      n = m.math.add(n, j);
      r.step = 1;
    } else {
      r = m.math.add(r, j);
      n.step = 1;
      mask = nullptr;
    }
    return LaneIndex::of({n, r}, mask);
  }

  /// What the tile after the next one reads or writes there.
  void prefetch(const Type &type, llvm::Value *memory, const LaneIndex &place) {
    const auto size = static_cast<int64_t>(dtypeSize(type.dtype));
    const int64_t tile = (type.layout.empty() ? 1 : kLanes) * kLanes * size;
    llvm::Value *address = k.e.offset(memory, k.e.mul(m.address(type, place).base, size));
    emitPrefetch(k.e, k.e.offset(address, kTilesAhead * tile), Cache::L1, memory == target);
  }

  /// Examples n .. n + count - 1 at positions r .. r + width - 1.
  void tile(LaneValue n, int64_t count, LaneValue r, int64_t width) {
    llvm::Value *mask = width < kLanes ? k.e.laneMask(static_cast<int>(width)) : nullptr;
    Values rows;
    for (int64_t j = 0; j < kLanes; ++j) {
      bool absent = j >= (from.layout.empty() ? count : width);
      const LaneIndex place = at(from, n, r, j, mask);
      rows.push_back(absent ? llvm::Constant::getNullValue(k.e.vectorType(from.dtype))
                            : m.load(from, source, place));
      if (from.layout.empty() && !absent)
        prefetch(from, source, place);
    }
    for (int64_t j = 0; j < (to.layout.empty() ? count : width); ++j)
      prefetch(to, target, at(to, n, r, j, mask));
    transpose16(k.e, rows);
    for (int64_t j = 0; j < kLanes; ++j)
      if (j < (to.layout.empty() ? count : width))
        m.store(to, target, at(to, n, r, j, mask), rows[j]);
  }
};

} // namespace

bool isTransposingRelayout(const KernelContext &k) {
  const RegionData &body = k.body();
  if (body.ops.size() != 1 || body.yields.size() != 1 || k.fn[body.ops[0]].def->name != "relayout" ||
      k.fn[body.yields[0]].def != body.ops[0])
    return false;
  const Type &from = k.fn.type(k.fn[body.ops[0]].operands[0]), &to = k.fn.type(body.yields[0]);
  return from.layout != to.layout && from.rank() >= 2;
}

KernelCode emitRelayout(KernelContext &k) {
  k.e.beginKernel(k.symbol);
  Relayout r(k);
  Emit &e = k.e;
  int64_t examples = r.from.shape[0], blocks = laneBlocks(examples), width = r.from.shape[1];
  int64_t full = width / kLanes, rest = width % kLanes, tiles = full + (rest != 0);
  int64_t pieces = (tiles + kTilesPerItem - 1) / kTilesPerItem;
  auto row = [&](LaneValue n, int64_t count, llvm::Value *low, llvm::Value *high) {
    e.loop(low, e.atMost(high, full), 1,
           [&](llvm::Value *t) { r.tile(n, count, r.m.math.uniform(e.mul(t, kLanes), kLanes), kLanes); });
    if (rest != 0)
      e.loop(e.i64(full), e.atMost(high, tiles), 1, [&](llvm::Value *) { // once, in the last piece
        r.tile(n, count, r.m.math.uniform(e.i64(full * kLanes), kLanes), rest);
      });
  };
  std::vector<TileRun> blockRuns;
  if (examples >= kLanes)
    blockRuns.push_back({0, 1, examples / kLanes});
  if (examples % kLanes != 0)
    blockRuns.push_back({examples / kLanes, 1, 1});
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    llvm::Value *low = e.mul(e.mod(item, pieces), kTilesPerItem), *high = e.add(low, e.i64(kTilesPerItem));
    emitTileSwitch(e, blockRuns, e.div(item, pieces), [&](llvm::Value *block, const TileRun &run) {
      const int64_t count = run.end() * kLanes <= examples ? kLanes : examples % kLanes;
      row(r.m.math.uniform(e.mul(block, kLanes), kLanes), count, low, high);
    });
  });
  e.endFunction();
  KernelCode code;
  code.steps.push_back({k.symbol, blocks * pieces, 0, static_cast<double>(blocks * tiles) * kSecondsPerTile});
  return code;
}

} // namespace gradc
