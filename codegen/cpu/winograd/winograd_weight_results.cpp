// The gradients of the weights from M: Aᵀ M A for each pair of channels, and the kernel's epilogue.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/panel.h"
#include "codegen/cpu/elements/reduction.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "codegen/cpu/winograd/winograd_weight_nest.h"

namespace gradc {
namespace {

constexpr int64_t kVector = kVectorLanes * 4;

class ResultsEmitter {
public:
  ResultsEmitter(TileKernels &tiles, const WinogradWeightNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest) {}

  int64_t items() const { return nest_.groups() * blocks(); }

  void emit(llvm::Value *products) {
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *group = e.div(item, blocks()), *block = e.mod(item, blocks());
      emitTileSwitch(e, nest_.panelRuns(), panelOf(group), [&](llvm::Value *start, const TileRun &run) {
        llvm::Value *first = e.add(e.mul(start, nest_.depth()), e.mul(e.mul(block, kVectorLanes), run.size));
        first = e.add(first, e.b.CreateSub(group, start));
        emitPart({e.offset(products, e.mul(first, kVector)), e.scratch(), run.size, group, block});
      });
    });
  }

  void emitPart(const WinogradWeightResults &what) {
    emitPanelSwitch(e, what.block, nest_.depth(), kVectorLanes, [&](int64_t depth) {
      tiles_.call("taps",
                  {what.products, what.scratch, e.argument(1), {e.i64(what.vectors * kVector), e.i64(depth)}},
                  [&](const TileKernels::Args &inner) { tapsBody(inner); });
      emitPanelSwitch(e, what.group, nest_.channels, kVectorLanes, [&](int64_t channels) {
        tiles_.call(
            fmt::format("results{}x{}", channels, depth),
            {what.scratch, what.scratch, e.argument(1), {what.group, e.mul(what.block, kVectorLanes)}},
            [&](const TileKernels::Args &inner) { body(inner, channels, depth); });
      });
    });
  }

private:
  int64_t taps() const { return nest_.gradient.tile * nest_.gradient.tile; }
  int64_t blocks() const { return ceilDiv(nest_.depth(), kVectorLanes); } // of the image's channels

  llvm::Value *panelOf(llvm::Value *group) {
    const std::vector<TileRun> runs = nest_.panelRuns();
    if (runs.size() == 1)
      return e.div(group, runs[0].size);
    llvm::Value *later = e.b.CreateSub(group, e.i64(runs[1].start));
    llvm::Value *inFirst = e.div(group, runs[0].size);
    llvm::Value *inSecond = e.b.CreateAdd(e.b.CreateSDiv(later, e.i64(runs[1].size)), e.i64(runs[0].count));
    return e.b.CreateSelect(e.b.CreateICmpSLT(later, e.i64(0)), inFirst, inSecond);
  }

  void body(const TileKernels::Args &args, int64_t channels, int64_t depth) {
    llvm::Value *transposed = e.offset(args.column, kVectorLanes * taps() * kVector);
    const int64_t elements = depth * taps(), pitch = taps() * kVector; // of one channel of the gradient
    emitPanelTranspose(e, args.row, kVector, elements, kVectorLanes, transposed, pitch);
    emitStoreRows(e, tiles_.store, transposed, pitch, channels, [&](llvm::Value *row) {
      LaneMath math(e);
      llvm::Value *channel = e.add(e.mul(args.numbers[0], kVectorLanes), row);
      llvm::Value *first = e.mul(e.add(e.mul(channel, nest_.depth()), args.numbers[1]), taps());
      std::vector<LaneIndex> indices;
      for (int64_t i = 0; i < elements; i += kVectorLanes) {
        const int64_t left = std::min<int64_t>(elements - i, kVectorLanes);
        LaneIndex at{{{4, math.consecutive(e.add(first, e.i64(i)))}},
                     left == kVectorLanes ? nullptr : e.laneMask(static_cast<int>(left))};
        indices.push_back(std::move(at));
      }
      return indices;
    });
  }

  /// All taps of the channels of an image, one after the other, with the gradient's in the lanes.
  void tapsBody(const TileKernels::Args &args) {
    e.loop(
        e.i64(0), args.numbers[1], 1, {args.row, args.column},
        [&](llvm::Value *, const Values &at) {
          winogradResult(
              e, nest_.gradient,
              [&](int row, int column) {
                return sumOfSegments(
                    e.offset(at[0], nest_.gradient.pointOf(row, column) * nest_.productPlane()));
              },
              [&](int row, int column, llvm::Value *value) {
                const int64_t tap = nest_.gradient.tile * row + column;
                e.b.CreateAlignedStore(value, e.offset(at[1], tap * kVector), llvm::Align(64));
              });
          return Values{e.offset(at[0], args.numbers[0]), e.offset(at[1], taps() * kVector)};
        },
        false);
  }

  llvm::Value *sumOfSegments(llvm::Value *first) {
    Values sums;
    for (int64_t s = 0; s < nest_.sums(); ++s)
      sums.push_back(e.b.CreateAlignedLoad(e.vectorType(DType::F32),
                                           e.offset(first, s * nest_.points() * nest_.productPlane()),
                                           llvm::Align(64)));
    return emitTree(e, Leaf::Add, DType::F32, std::move(sums));
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradWeightNest &nest_;
};

} // namespace

void emitWinogradWeightResults(TileKernels &tiles, const WinogradWeightNest &nest,
                               const WinogradWeightResults &what) {
  ResultsEmitter(tiles, nest).emitPart(what);
}

int64_t winogradResultsScratch(const WinogradWeightNest &nest) {
  const int64_t taps = nest.gradient.tile * nest.gradient.tile;
  return 2 * kVectorLanes * taps * kVector; // of 16 × 16 pairs of channels, as they come, and transposed
}

KernelStep emitWinogradWeightResults(KernelContext &k, TileKernels &tiles, const WinogradWeightNest &nest) {
  ResultsEmitter emitter(tiles, nest);
  constexpr double kBytesASecond = 25e9;
  const KernelStep step{.symbol = k.symbol + ".results",
                        .items = emitter.items(),
                        .scratchBytes = winogradResultsScratch(nest),
                        .work = static_cast<double>(nest.sums() * nest.points() * nest.productPlane()) /
                                kBytesASecond};
  k.e.beginKernel(step.symbol);
  emitter.emit(k.e.buffer(k.workspaceBuffer()));
  k.e.endFunction();
  return step;
}

} // namespace gradc
