// U of a panel: G g Gᵀ of the kernels of its channels, with pairs of channels in the lanes.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/transpose.h"
#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
/// So many vectors before they are transformed, a convolution's kernels are fetched.
constexpr int64_t kAhead = 8;

class FiltersEmitter {
public:
  FiltersEmitter(TileKernels &tiles, const WinogradNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(const WinogradFilters &what, int64_t rows) {
    llvm::Value *from = e.offset(what.weights, e.mul(what.channel, nest_.weightChannel));
    from = e.offset(from, e.mul(what.low, nest_.weightDepth));
    if (nest_.turned)
      readPieces(from, what, rows);
    tiles_.call(fmt::format("weights{}", rows),
                {from, what.target, e.argument(1), {e.b.CreateSub(what.high, what.low)}},
                [&](const TileKernels::Args &inner) { body(inner, rows); });
  }

private:
  /// A gradient's kernels of a panel are pieces far apart. Read before they are transformed, many are under way at once.
  void readPieces(llvm::Value *from, const WinogradFilters &what, int64_t rows) {
    const int64_t bytes = rows * nest_.weightChannel;
    e.loop(what.low, what.high, 1, {from}, [&](llvm::Value *, const Values &at) {
      for (int64_t line = 0; line < bytes + kCacheLine; line += kCacheLine)
        e.b.CreateLoad(e.b.getInt32Ty(), e.offset(at[0], std::min(line, bytes - kFloat)),
                       /*isVolatile=*/true);
      return Values{e.offset(at[0], nest_.weightDepth)};
    });
  }

  void body(const TileKernels::Args &args, int64_t rows) {
    const int64_t step = nest_.depthsOfVector(rows);
    llvm::Value *count = args.numbers[0], *whole = e.b.CreateSub(count, e.mod(count, step));
    e.loop(e.i64(0), whole, step, [&](llvm::Value *depth) { transform(args, depth, rows, step); });
    for (int64_t rest = 1; rest < step; ++rest)
      if (mayRemain(rest, step))
        emitIf(
            e, e.b.CreateICmpEQ(e.mod(count, step), e.i64(rest)), [&] { transform(args, whole, rows, rest); },
            [] {});
  }

  /// Of a chunk of the operand's channels, or of the last one.
  bool mayRemain(int64_t rest, int64_t step) const {
    const int64_t last = (nest_.depth - 1) % nest_.chunk + 1;
    return nest_.chunk % step == rest || last % step == rest;
  }

  void transform(const TileKernels::Args &args, llvm::Value *depth, int64_t rows, int64_t depths) {
    const Winograd &w = nest_.algorithm;
    const int lanes = static_cast<int>(rows * depths);
    const Values taps = loadTaps(e.offset(args.row, e.mul(depth, nest_.weightDepth)), rows, depths);
    llvm::Value *target = e.offset(args.column, e.mul(depth, rows * kFloat));
    winogradWeights(
        e, w,
        [&](int row, int column) {
          const int64_t at = w.kernel * row + column;
          return taps[static_cast<size_t>(nest_.turned ? w.taps() - 1 - at : at)];
        },
        [&](int row, int column, llvm::Value *value) {
          llvm::Value *address = e.offset(target, w.pointOf(row, column) * nest_.weightPlane());
          e.b.CreateMaskedStore(value, address, llvm::Align(4), e.laneMask(lanes));
        });
  }

  /// A vector for each tap of the kernels that begin at `kernel`: each is read in one piece.
  Values loadTaps(llvm::Value *kernel, int64_t rows, int64_t depths) {
    llvm::Type *vector = e.vectorType(DType::F32);
    Values taps;
    for (int64_t first = 0; first < nest_.algorithm.taps(); first += kVectorLanes) {
      const int64_t count = std::min<int64_t>(kVectorLanes, nest_.algorithm.taps() - first);
      Values kernels(kVectorLanes, llvm::Constant::getNullValue(vector));
      for (int64_t i = 0; i < rows * depths; ++i) {
        const int64_t place = i / rows * nest_.weightDepth + i % rows * nest_.weightChannel;
        if (first == 0 && !nest_.turned)
          emitPrefetch(e, e.offset(kernel, place + kAhead * depths * nest_.weightDepth), Cache::L1);
        kernels[static_cast<size_t>(i)] =
            e.b.CreateMaskedLoad(vector, e.offset(kernel, place + first * kFloat), llvm::Align(4),
                                 e.laneMask(static_cast<int>(count)), llvm::Constant::getNullValue(vector));
      }
      transpose16(e, kernels);
      taps.insert(taps.end(), kernels.begin(), kernels.begin() + count);
    }
    return taps;
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradNest &nest_;
};

} // namespace

void emitWinogradFilters(TileKernels &tiles, const WinogradNest &nest, int64_t rows,
                         const WinogradFilters &what) {
  FiltersEmitter(tiles, nest).emit(what, rows);
}

} // namespace gradc
