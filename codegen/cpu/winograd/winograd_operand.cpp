// V of a group of tiles: Bᵀ d B of every patch and channel.
#include <algorithm>

#include "codegen/cpu/contract/register_tile.h"
#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

constexpr int64_t kVector = kVectorLanes * 4;
/// Channels that go through a group's tiles together: neighbouring patches overlap, and what they share stays in L1.
constexpr int64_t kChannels = 4;

class OperandEmitter {
public:
  OperandEmitter(TileKernels &tiles, const WinogradNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(const WinogradOperand &what) {
    e.loop(what.firstChannel, what.endChannel, kChannels, [&](llvm::Value *channel) {
      llvm::Value *count = e.i64(kChannels);
      if (nest_.depth % kChannels)
        count = e.atMost(e.b.CreateSub(what.endChannel, channel), kChannels);
      llvm::Value *images = e.offset(what.images, e.mul(channel, nest_.inChannel()));
      llvm::Value *planes = e.offset(what.target, e.mul(channel, nest_.tile.vectors * kVector));
      e.loop(what.first, what.end, 1, [&](llvm::Value *tile) {
        const WinogradPlace place = winogradPlace(e, nest_, tile);
        llvm::Value *row = e.add(place.row, e.i64(nest_.inTop)),
                    *column = e.add(place.column, e.i64(nest_.inLeft));
        llvm::Value *corner = e.offset(images, winogradCorner(e, nest_, place));
        llvm::Value *at = e.offset(planes, winogradColumn(e, nest_, e.b.CreateSub(tile, what.first)));
        transformPatch({corner, at, e.argument(1), {row, column, count}, what.patch});
      });
    });
  }

private:
  void transformPatch(const TileKernels::Args &args) {
    auto inside = [&] {
      callTransform(args.buffers, args.row, args.column, nest_.inRow(), e.i64(nest_.inChannel()),
                    args.numbers[2]);
    };
    auto border = [&] {
      tiles_.call("border", args, [&](const TileKernels::Args &inner) { borderBody(inner); });
    };
    const Winograd &w = nest_.algorithm;
    if (!patchesInside(nest_.inTop, nest_.tileRows(), w.tile, w.patch(), nest_.inHeight) ||
        !patchesInside(nest_.inLeft, nest_.tileColumns(), w.width, w.patchWidth(), nest_.inWidth))
      return border();
    emitIf(e,
           e.b.CreateAnd(isInside(args.numbers[0], w.patch(), nest_.inHeight),
                         isInside(args.numbers[1], w.patchWidth(), nest_.inWidth)),
           inside, border);
  }

  /// Along a dimension, the patches that have no padding.
  static int64_t patchesInside(int64_t start, int64_t tiles, int64_t tile, int64_t patch, int64_t size) {
    int64_t inside = 0;
    for (int64_t t = 0; t < tiles; ++t, start += tile)
      inside += start >= 0 && start + patch <= size;
    return inside;
  }
  llvm::Value *isInside(llvm::Value *start, int64_t patch, int64_t size) {
    return e.b.CreateICmpULE(start, e.i64(size - patch));
  }

  /// `count` channels of a patch.
  void callTransform(llvm::Value *buffers, llvm::Value *patch, llvm::Value *target, int64_t rowBytes,
                     llvm::Value *channelBytes, llvm::Value *count) {
    tiles_.call("operand", {patch, target, buffers, {e.i64(rowBytes), channelBytes, count}},
                [&](const TileKernels::Args &inner) { transformBody(inner); });
  }

  void transformBody(const TileKernels::Args &args) {
    Values rows;
    for (int i = 0; i < nest_.algorithm.patch(); ++i)
      rows.push_back(e.mul(args.numbers[0], i));
    llvm::Type *vector = e.vectorType(DType::F32);
    e.loop(
        e.i64(0), args.numbers[2], 1, {args.row, args.column},
        [&](llvm::Value *, const Values &at) {
          winogradOperand(
              e, nest_.algorithm,
              [&](int row, int column) -> llvm::Value * {
                llvm::Value *address = e.offset(e.offset(at[0], rows[row]), column * kVector);
                return e.b.CreateAlignedLoad(vector, address, llvm::Align(4));
              },
              [&](int row, int column, llvm::Value *value) {
                llvm::Value *plane =
                    e.offset(at[1], nest_.algorithm.pointOf(row, column) * nest_.operandPlane());
                e.b.CreateAlignedStore(value, plane, llvm::Align(64));
                emitPrefetch(e, nextDepth(plane), Cache::L2, true);
              });
          return Values{e.offset(at[0], args.numbers[1]), nextDepth(at[1])};
        },
        false);
  }

  llvm::Value *nextDepth(llvm::Value *plane) { return e.offset(plane, nest_.tile.vectors * kVector); }

  /// A patch that is partly padding is copied, channel by channel, into one where the padding is zero.
  void borderBody(const TileKernels::Args &args) {
    llvm::Value *patch = args.partials;
    llvm::Type *vector = e.vectorType(DType::F32);
    e.count(nest_.algorithm.points(), [&](llvm::Value *i) {
      e.b.CreateAlignedStore(llvm::Constant::getNullValue(vector), e.offset(patch, e.mul(i, kVector)),
                             llvm::Align(64));
    });
    const int64_t width = nest_.algorithm.patchWidth();
    const auto [top, bottom] = existing(args.numbers[0], nest_.algorithm.patch(), nest_.inHeight);
    const auto [left, right] = existing(args.numbers[1], width, nest_.inWidth);
    e.loop(e.i64(0), args.numbers[2], 1, {args.row, args.column}, [&](llvm::Value *, const Values &at) {
      e.loop(top, bottom, 1, [&](llvm::Value *i) {
        e.loop(left, right, 1, [&](llvm::Value *j) {
          llvm::Value *from = e.offset(e.offset(at[0], e.mul(i, nest_.inRow())), e.mul(j, kVector));
          llvm::Value *to = e.offset(patch, e.mul(e.add(e.mul(i, width), j), kVector));
          e.b.CreateAlignedStore(e.b.CreateAlignedLoad(vector, from, llvm::Align(4)), to, llvm::Align(64));
        });
      });
      callTransform(args.buffers, patch, at[1], width * kVector, e.i64(0), e.i64(1));
      return Values{e.offset(at[0], nest_.inChannel()), nextDepth(at[1])};
    });
  }

  /// First and one past the last position that exists of a patch that begins at `start`.
  std::pair<llvm::Value *, llvm::Value *> existing(llvm::Value *start, int64_t patch, int64_t size) {
    return {e.atLeast(e.b.CreateNeg(start), 0), e.atMost(e.b.CreateSub(e.i64(size), start), patch)};
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradNest &nest_;
};

} // namespace

void emitWinogradOperand(TileKernels &tiles, const WinogradNest &nest, const WinogradOperand &what) {
  OperandEmitter(tiles, nest).emit(what);
}

} // namespace gradc
