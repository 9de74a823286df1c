// Kernels without reductions between elements: one loop nest over the results' memory. Kind `multi` is several
// such nests, one after the other in the grid.
#include <algorithm>
#include <optional>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/elements/random_stream.h"
#include "codegen/cpu/interleave.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/loops/loop_nest.h"
#include "codegen/cpu/loops/streaming.h"
#include "codegen/cpu/loops/window_nest.h"
#include "codegen/nests.h"
#include "ir/layout.h"
#include "support/philox.h"

namespace gradc {
namespace {

/// Emits one kernel function: buffers bound, results stored.
class MapEmitter {
public:
  MapEmitter(KernelContext &k, bool single) : k_(k), m_(k.e, k.fn, k.region()), single_(single) {
    const RegionData &body = k.body();
    for (size_t i = 0; i < body.args.size(); ++i)
      bindWalked(m_, k, body.args[i], k.e.buffer(k.operandBuffer(static_cast<int>(i))),
                 k.fn.type(body.yields[0]), kFirst);
    for (size_t i = 0; i < body.yields.size(); ++i)
      results_.push_back(k.e.buffer(k.resultBuffer(static_cast<int>(i))));
  }

  /// Emits the part of the items low .. high that is the nest's, which begins at item `first`.
  int64_t emit(const Nest &nest, int64_t first, KernelStep &step) {
    const double cycles = cyclesPerVector(k_.fn, k_.region(), roots(nest));
    if (const std::optional<WindowWalk> walk = windowWalk(k_.fn, k_.region(), nest.type))
      return emitWindows(nest, WindowNest(k_.fn, *walk), cycles, first, step);
    if (const std::optional<OpId> random = randomNest(nest))
      return emitRandomGroups(nest, *random, cycles, first, step);
    LoopNest loops(nest.type, mergeableDims(k_.fn, k_.region(), roots(nest), nest.type.shape), cycles);
    step.work += loops.work();
    auto [low, high] = range(first, loops.items());
    emitStreamed(k_, [&](bool streams) {
      ElementEmitter::Scope scope(m_);
      m_.streams = streams;
      loops.emit(m_, low, high, [&](const LaneIndex &index) { storeAll(nest, {index}); });
    });
    return loops.items();
  }

private:
  std::pair<llvm::Value *, llvm::Value *> range(int64_t first, int64_t items) {
    Emit &e = k_.e;
    auto clamp = [&](llvm::Value *item) { return e.atMost(e.atLeast(e.add(item, e.i64(-first)), 0), items); };
    if (single_)
      return {e.itemBegin(), e.itemEnd()};
    return {clamp(e.itemBegin()), clamp(e.itemEnd())};
  }

  /// All results first, then the stores: a result may lie on an operand. Lanes of so many neighbours are stored as one
  /// piece of memory.
  void storeAll(
      const Nest &nest, const std::vector<LaneIndex> &at,
      const std::function<void(size_t)> &before = [](size_t) {}, size_t neighbours = 1) {
    std::vector<Values> values;
    for (size_t p = 0; p < at.size(); ++p) {
      before(p);
      Values &row = values.emplace_back();
      for (int i : nest.results)
        row.push_back(m_.emit(k_.body().yields[i], at[p]));
    }
    for (size_t p = 0; p < at.size(); p += neighbours)
      for (size_t r = 0; r < nest.results.size(); ++r) {
        int i = nest.results[r];
        Values together;
        for (size_t n = 0; n < neighbours; ++n)
          together.push_back(values[p + n][r]);
        m_.storeNeighbours(k_.fn.type(k_.body().yields[i]), results_[i], at[p], together);
      }
  }

  std::optional<OpId> randomNest(const Nest &nest);
  int64_t emitRandomGroups(const Nest &nest, OpId random, double cycles, int64_t first, KernelStep &step);
  int64_t emitWindows(const Nest &nest, const WindowNest &windows, double cycles, int64_t first,
                      KernelStep &step) {
    step.work += windows.work(cycles);
    step.scratchBytes = std::max(step.scratchBytes, windows.scratchBytes());
    auto [low, high] = range(first, windows.items());
    windows.emit(m_, low, high, [&](const std::vector<LaneIndex> &at, const Values &gradients) {
      storeAll(
          nest, at, [&](size_t i) { m_.bindVector(windows.gradient(), gradients[i]); }, windows.neighbours());
    });
    return windows.items();
  }

  std::vector<ValueId> roots(const Nest &nest) const {
    std::vector<ValueId> values;
    for (int i : nest.results)
      values.push_back(k_.body().yields[i]);
    return values;
  }

  static constexpr bool kFirst = true; // all is read once

  KernelContext &k_;
  ElementEmitter m_;
  Values results_;
  bool single_; // one nest: its items are the kernel's
};

/// The random_uniform of a nest over n16 memory that may be walked by groups of four numbers.
std::optional<OpId> MapEmitter::randomNest(const Nest &nest) {
  std::optional<OpId> found;
  const Shape &shape = nest.type.shape;
  for (OpId id : k_.body().ops) {
    const OpData &op = k_.fn[id];
    if (op.def->is(kWindow) || (op.def->name == "random_uniform" && found))
      return std::nullopt;
    if (op.def->name == "random_uniform" && k_.fn.type(op.results[0]).shape == shape)
      found = id;
  }
  const bool groups = nest.type.layout == kLayoutN16 &&
                      nest.type.elements() / shape[0] % static_cast<int64_t>(kPhiloxWords) == 0;
  const std::vector<bool> merge = mergeableDims(k_.fn, k_.region(), roots(nest), shape);
  return groups && std::all_of(merge.begin() + 1, merge.end(), [](bool m) { return m; }) ? found
                                                                                         : std::nullopt;
}

/// Neighbours of 16 rows at a time: one group of four, or two that take turns.
int64_t MapEmitter::emitRandomGroups(const Nest &nest, OpId random, double cycles, int64_t first,
                                     KernelStep &step) {
  constexpr auto kWords = static_cast<int64_t>(kPhiloxWords);
  const Shape &shape = nest.type.shape;
  const int64_t rowGroups = nest.type.elements() / shape[0] / kWords;
  const int64_t together = rowGroups % 2 == 0 ? 2 : 1;
  const Type pairs{nest.type.dtype, {shape[0], rowGroups / together}, nest.type.layout};
  LoopNest loops(pairs, {false}, static_cast<double>(together * kWords) * cycles);
  step.work += loops.work();
  auto [low, high] = range(first, loops.items());
  const RandomStream stream(m_, random);
  loops.emit(m_, low, high, [&](const LaneIndex &index) {
    const LaneValue row = index.groups[0].at, group = m_.math.mul(index.groups[1].at, together);
    Values numbers;
    emitInterleaved(k_.e, together, [&](int64_t i) {
      for (llvm::Value *number : stream.group(row, m_.math.add(group, i)))
        numbers.push_back(number);
    });
    std::vector<LaneIndex> at;
    for (int64_t i = 0; i < together * kWords; ++i)
      at.push_back({{{1, row}, {shape.rank() - 1, m_.math.add(m_.math.mul(group, kWords), i)}}, index.mask});
    storeAll(nest, at, [&](size_t i) { m_.bindVector(k_.fn[random].results[0], numbers[i]); });
  });
  return loops.items();
}

} // namespace

KernelCode emitMap(KernelContext &k) {
  std::vector<Nest> nests = nestsOf(k.fn, k.region());
  KernelCode code;
  KernelStep &step = code.steps.emplace_back();
  step.symbol = k.symbol;
  step.items = 0;
  k.e.beginKernel(k.symbol);
  MapEmitter emitter(k, nests.size() == 1);
  for (const Nest &nest : nests)
    step.items += emitter.emit(nest, step.items, step);
  k.e.endFunction();
  return code;
}

} // namespace gradc
