// U of the weights' gradient: G dy Gᵀ of every tile, with 16 channels in the lanes.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/panel.h"
#include "codegen/cpu/contract/register_tile.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "codegen/cpu/winograd/winograd_weight_nest.h"

namespace gradc {
namespace {

constexpr int64_t kVector = kVectorLanes * 4;

class GradientEmitter {
public:
  GradientEmitter(TileKernels &tiles, const WinogradWeightNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(const WinogradGradient &at) {
    auto onPanel = [&](llvm::Value *start, const TileRun &run) {
      llvm::Value *target = e.offset(at.target, e.mul(start, nest_.slab * kVectorLanes * kVector));
      e.loop(at.firstTile, at.endTile, 1, [&](llvm::Value *tile) {
        llvm::Value *images = e.mul(e.b.CreateSub(tile, at.slabStart), kVectorLanes * run.size * kVector);
        e.count(run.size, [&](llvm::Value *j) {
          transformTile(at, tile, e.add(start, j), run.size,
                        e.offset(e.offset(target, images), e.mul(j, kVector)));
        });
      });
    };
    e.loop(at.firstPanel, at.endPanel, 1,
           [&](llvm::Value *panel) { emitTileSwitch(e, nest_.panelRuns(), panel, onPanel); });
  }

private:
  /// One tile of the 16 channels of a group, of which the last one may have fewer.
  void transformTile(const WinogradGradient &at, llvm::Value *tile, llvm::Value *group, int64_t width,
                     llvm::Value *target) {
    const WinogradPlace place = winogradPlace(e, nest_.image, tile);
    llvm::Value *corner = e.offset(at.gradient, gradientCorner(e, nest_, place));
    corner = e.offset(corner, e.mul(group, kVectorLanes * nest_.channel()));
    emitPanelSwitch(e, group, nest_.channels, kVectorLanes, [&](int64_t exist) {
      withSize(place.row, nest_.image.outHeight, [&](int64_t height) {
        withSize(place.column, nest_.image.outWidth, [&](int64_t columns) {
          tiles_.call(fmt::format("gradient{}x{}x{}", exist, height, columns),
                      {corner, target, e.argument(1), {e.i64(width * kVector)}, at.scratch},
                      [&](const TileKernels::Args &inner) { body(inner, exist, height, columns); });
        });
      });
    });
  }

  /// f(how many pixels of a tile exist along a dimension), with a branch for the last tile.
  void withSize(llvm::Value *start, int64_t size, const std::function<void(int64_t)> &f) {
    const int64_t tile = nest_.gradient.kernel, rest = size % tile;
    if (rest == 0 || size < tile)
      return f(std::min(size, tile));
    emitIf(
        e, e.b.CreateICmpSLT(start, e.i64(size - rest)), [&] { f(tile); }, [&] { f(rest); });
  }

  int64_t pixels() const { return nest_.gradient.taps(); }

  void body(const TileKernels::Args &args, int64_t channels, int64_t height, int64_t width) {
    const int64_t tile = nest_.gradient.kernel;
    if (height * width < pixels())
      e.clear(args.partials, kVectorLanes * pixels(), 64);
    e.count(height, [&](llvm::Value *row) {
      e.count(width, [&](llvm::Value *column) {
        llvm::Value *from = e.offset(args.row, e.add(e.mul(row, nest_.row()), e.mul(column, kVector)));
        llvm::Value *to = e.offset(args.partials, e.mul(e.add(e.mul(row, tile), column), kVector));
        emitPanelTranspose(e, from, nest_.channel(), channels, kVectorLanes, to, pixels() * kVector);
      });
    });
    tiles_.call("gradient", args, [&](const TileKernels::Args &inner) { transformBody(inner); });
  }

  /// The images, one after the other.
  void transformBody(const TileKernels::Args &args) {
    e.loop(
        e.i64(0), e.i64(kVectorLanes), 1, {args.partials, args.column},
        [&](llvm::Value *, const Values &at) {
          winogradWeights(
              e, nest_.gradient,
              [&](int row, int column) -> llvm::Value * {
                llvm::Value *address = e.offset(at[0], (nest_.gradient.kernel * row + column) * kVector);
                return e.b.CreateAlignedLoad(e.vectorType(DType::F32), address, llvm::Align(64));
              },
              [&](int row, int column, llvm::Value *value) {
                const int64_t point = nest_.gradient.pointOf(row, column);
                llvm::Value *to = e.offset(at[1], point * nest_.gradientPlane());
                e.b.CreateAlignedStore(value, to, llvm::Align(64));
                if (!nest_.near)
                  emitPrefetch(e, e.offset(to, args.numbers[0]), Cache::L2, true);
              });
          return Values{e.offset(at[0], pixels() * kVector), e.offset(at[1], args.numbers[0])};
        },
        false);
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradWeightNest &nest_;
};

} // namespace

void emitWinogradGradient(TileKernels &tiles, const WinogradWeightNest &nest, const WinogradGradient &what) {
  GradientEmitter(tiles, nest).emit(what);
}

} // namespace gradc
