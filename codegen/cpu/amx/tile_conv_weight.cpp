#include "codegen/cpu/amx/tile_conv_weight.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/amx/tile_pack.h"
#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

constexpr int64_t kPanelTiles = 2, kPanelChannels = kPanelTiles * kTileRows;
constexpr int64_t kStepBytes = kPanelTiles * kTileBytes;
constexpr int64_t kPixelBytes = kTileBytes / 2; // of 16 channels of the input by 16 images

/// The parts of scratch memory, and how the copies in it are laid out.
struct WeightSizes {
  explicit WeightSizes(const TileConvWeight &plan) : plan_(plan) {}

  int64_t pairs() const { return ceilDiv(plan_.width.gradSize, 2); }
  int64_t gradRowBytes() const { return pairs() * kStepBytes; }
  int64_t gradPanelBytes() const { return plan_.bandRows * gradRowBytes(); }
  /// Phases of the input's columns that taps read, and positions in one.
  int64_t phases() const { return std::min(plan_.width.stride, plan_.width.taps); }
  int64_t positions() const { return 2 * pairs() + (plan_.width.taps - 1) / plan_.width.stride; }
  int64_t rows() const { return (plan_.bandRows - 1) * plan_.height.stride + plan_.height.taps; }
  int64_t inRowBytes() const {
    constexpr int64_t kPage = 4096;
    const int64_t bytes = (positions() + 1) * kPixelBytes; // the last pair may be half
    return bytes + (bytes % kPage == 0 ? kPixelBytes : 0);
  }
  int64_t phaseBytes() const { return rows() * inRowBytes(); }
  int64_t inTileBytes() const { return phases() * phaseBytes(); }

  int64_t sumBytes() const { return plan_.groupPanels * plan_.taps() * kSumBytes; }
  int64_t gradBytes() const { return plan_.groupPanels * gradPanelBytes(); }
  int64_t copyBytes() const { return gradBytes() + kPanelTiles * inTileBytes(); }

  int64_t panels() const { return ceilDiv(plan_.channels, kPanelChannels); }
  int64_t depthPanels() const { return ceilDiv(plan_.depth, kPanelChannels); }
  int64_t items() const { return ceilDiv(panels(), plan_.groupPanels) * depthPanels(); }

private:
  const TileConvWeight &plan_;
};

class TileConvWeightEmitter {
public:
  TileConvWeightEmitter(KernelContext &k, const TileConvWeight &plan, EpilogueStore &store)
      : k_(k), e(k.e), plan_(plan), tiles_(k.e, store, k.symbol), sizes_(plan) {}

  KernelCode emit(int gradBuffer, int inputBuffer) {
    KernelStep step{
        .symbol = k_.symbol, .items = sizes_.items(), .scratchBytes = sizes_.sumBytes() + sizes_.copyBytes()};
    e.beginKernel(step.symbol);
    llvm::Value *grad = e.buffer(gradBuffer), *input = e.buffer(inputBuffer);
    sums_ = e.scratch();
    gradCopy_ = e.offset(sums_, sizes_.sumBytes());
    inCopy_ = e.offset(gradCopy_, sizes_.gradBytes());
    emitTileBegin(e);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      Item at{e.mod(item, sizes_.depthPanels()), e.mul(e.div(item, sizes_.depthPanels()), plan_.groupPanels),
              nullptr, grad, input};
      at.end = e.atMost(e.add(at.first, e.i64(plan_.groupPanels)), sizes_.panels());
      emitItem(at);
    });
    emitTileEnd(e);
    e.endFunction();
    return {.steps = {step}, .workspaceBytes = 0};
  }

private:
  /// A panel of input channels by panels first … end of the gradient's.
  struct Item {
    llvm::Value *depthPanel, *first, *end;
    llvm::Value *grad, *input; // of the block
  };

  void emitItem(const Item &item) {
    e.clear(sums_, sizes_.sumBytes() / kTilePitch, kTilePitch);
    e.count(plan_.blocks, [&](llvm::Value *block) {
      Item here = item;
      here.grad = e.offset(item.grad, e.mul(block, plan_.gradBlock));
      here.input = e.offset(item.input, e.mul(block, plan_.inBlock));
      e.loop(e.i64(0), e.i64(plan_.height.gradSize), plan_.bandRows, [&](llvm::Value *low) {
        emitBand(here, low, e.atMost(e.add(low, e.i64(plan_.bandRows)), plan_.height.gradSize));
      });
    });
    forPanels(item,
              [&](llvm::Value *panel, llvm::Value *sums, llvm::Value *) { emitStore(item, panel, sums); });
  }

  /// f(panel of the gradient's channels, its sums, its part of the gradient's copy)
  void forPanels(const Item &item,
                 const std::function<void(llvm::Value *, llvm::Value *, llvm::Value *)> &f) {
    e.loop(
        item.first, item.end, 1,
        [&](llvm::Value *panel) {
          llvm::Value *number = e.b.CreateSub(panel, item.first);
          f(panel, e.offset(sums_, e.mul(number, plan_.taps() * kSumBytes)),
            e.offset(gradCopy_, e.mul(number, sizes_.gradPanelBytes())));
        },
        false);
  }

  /// Rows low … high of the gradient.
  void emitBand(const Item &item, llvm::Value *low, llvm::Value *high) {
    emitPanelSwitch(e, item.depthPanel, plan_.depth, kPanelChannels,
                    [&](int64_t channels) { copyInput(item, low, high, channels); });
    forPanels(item, [&](llvm::Value *panel, llvm::Value *sums, llvm::Value *copy) {
      emitPanelSwitch(e, panel, plan_.channels, kPanelChannels,
                      [&](int64_t channels) { copyGrad(item, panel, copy, low, high, channels); });
      e.count(plan_.height.taps, [&](llvm::Value *kernelRow) {
        e.count(plan_.width.taps, [&](llvm::Value *kernelColumn) {
          addTap(item, panel, sums, copy, low, high, kernelRow, kernelColumn);
        });
      });
    });
  }

  // ---- Copies ----

  static TileMatrix matrixOf(DType dtype, int64_t channelStride, int64_t pixelStride) {
    TileMatrix matrix{.dtype = dtype, .rows = kTileRows, .depth = kTileDepth};
    matrix.rowStride = channelStride;
    matrix.depthStride = static_cast<int64_t>(dtypeSize(dtype));
    matrix.depthBlock = pixelStride;
    return matrix;
  }

  void copyInput(const Item &item, llvm::Value *low, llvm::Value *high, int64_t channels) {
    llvm::Value *base = e.add(e.mul(low, plan_.height.stride), e.i64(-plan_.height.padding));
    llvm::Value *begin = e.atLeast(base, 0);
    llvm::Value *end = e.add(e.mul(high, plan_.height.stride),
                             e.i64(plan_.height.taps - plan_.height.stride - plan_.height.padding));
    end = e.atMost(end, plan_.height.inSize);
    llvm::Value *first = e.offset(item.input, e.mul(item.depthPanel, kPanelChannels * plan_.inDepth));
    for (int64_t tile = 0; tile < ceilDiv(channels, kTileRows); ++tile) {
      const int64_t rows = std::min(kTileRows, channels - tile * kTileRows);
      TileKernels::Args args{e.offset(first, tile * kTileRows * plan_.inDepth),
                             e.offset(inCopy_, tile * sizes_.inTileBytes()),
                             e.argument(1),
                             {base, begin, end}};
      tiles_.call(fmt::format("input{}", rows), args, [&](const TileKernels::Args &a) {
        e.loop(a.numbers[1], a.numbers[2], 1, [&](llvm::Value *row) {
          llvm::Value *to = e.offset(a.column, e.mul(e.b.CreateSub(row, a.numbers[0]), sizes_.inRowBytes()));
          for (int64_t phase = 0; phase < sizes_.phases(); ++phase)
            copyPhase(e.offset(a.row, e.mul(row, plan_.inRow)), e.offset(to, phase * sizes_.phaseBytes()),
                      phase, rows);
        });
      });
    }
  }

  /// The pixels of one phase of the stride in a row of the input, with zeros beside them.
  void copyPhase(llvm::Value *from, llvm::Value *to, int64_t phase, int64_t channels) {
    const ConvWeightAxis &axis = plan_.width;
    const int64_t positions = sizes_.positions();
    auto positionOf = [&](int64_t pixel) { // the first that is not before the pixel
      return std::clamp<int64_t>(ceilDiv(std::max<int64_t>(pixel + axis.padding - phase, 0), axis.stride), 0,
                                 positions);
    };
    const int64_t begin = positionOf(0), end = positionOf(axis.inSize);
    zeroPixels(to, 0, begin);
    zeroPixels(to, end, positions + 1);
    const TileMatrix matrix = matrixOf(plan_.inputType, plan_.inDepth, axis.stride * plan_.inPixel);
    const TilePacking packing{hasDots(e.target) ? TileForm::Ordered : TileForm::Columns, 1, 0};
    llvm::Value *source = e.offset(from, (begin * axis.stride + phase - axis.padding) * plan_.inPixel);
    auto pack = [&](llvm::Value *pair, int64_t depth) {
      emitPackTile(e, matrix, packing, e.offset(source, e.mul(pair, 2 * axis.stride * plan_.inPixel)),
                   channels, depth, e.offset(to, e.add(e.mul(pair, kTileBytes), e.i64(begin * kPixelBytes))));
    };
    if (end - begin > 1)
      e.count((end - begin) / 2, [&](llvm::Value *pair) { pack(pair, kTileDepth); });
    if ((end - begin) % 2)
      pack(e.i64((end - begin) / 2), kTileDepth / 2);
  }

  void zeroPixels(llvm::Value *row, int64_t begin, int64_t end) {
    if (begin < end)
      e.clear(e.offset(row, begin * kPixelBytes), (end - begin) * kPixelBytes / kTilePitch, kTilePitch);
  }

  void copyGrad(const Item &item, llvm::Value *panel, llvm::Value *copy, llvm::Value *low, llvm::Value *high,
                int64_t channels) {
    llvm::Value *from = e.offset(item.grad, e.mul(panel, kPanelChannels * plan_.gradChannel));
    const TileKernels::Args args{
        e.offset(from, e.mul(low, plan_.gradRow)), copy, e.argument(1), {e.b.CreateSub(high, low)}};
    tiles_.call(fmt::format("grad{}", channels), args, [&](const TileKernels::Args &a) {
      e.loop(e.i64(0), a.numbers[0], 1, [&](llvm::Value *row) {
        copyGradRow(e.offset(a.row, e.mul(row, plan_.gradRow)),
                    e.offset(a.column, e.mul(row, sizes_.gradRowBytes())), channels);
      });
    });
  }

  void copyGradRow(llvm::Value *from, llvm::Value *to, int64_t channels) {
    const TileMatrix matrix = matrixOf(plan_.gradType, plan_.gradChannel, plan_.gradPixel);
    const TilePacking packing{TileForm::Rows, 1, 0};
    auto pack = [&](llvm::Value *pair, int64_t depth) {
      for (int64_t tile = 0; tile < ceilDiv(channels, kTileRows); ++tile)
        emitPackTile(e, matrix, packing,
                     e.offset(from, e.add(e.mul(pair, 2 * plan_.gradPixel),
                                          e.i64(tile * kTileRows * plan_.gradChannel))),
                     std::min(kTileRows, channels - tile * kTileRows), depth,
                     e.offset(to, e.add(e.mul(pair, kStepBytes), e.i64(tile * kTileBytes))));
    };
    const int64_t whole = plan_.width.gradSize / 2;
    if (whole > 0)
      e.count(whole, [&](llvm::Value *pair) { pack(pair, kTileDepth); });
    if (plan_.width.gradSize % 2)
      pack(e.i64(whole), kTileDepth / 2);
  }

  // ---- Products ----

  void addTap(const Item &item, llvm::Value *panel, llvm::Value *sums, llvm::Value *copy, llvm::Value *low,
              llvm::Value *high, llvm::Value *kernelRow, llvm::Value *kernelColumn) {
    const ConvWeightAxis &axis = plan_.height;
    // Rows of the gradient from which the tap reads the input.
    llvm::Value *below = e.atLeast(e.b.CreateSub(e.i64(axis.padding), kernelRow), 0);
    llvm::Value *begin = e.atLeast(low, ceilDivide(below));
    llvm::Value *inside = e.atLeast(e.b.CreateSub(e.i64(axis.inSize + axis.padding), kernelRow), 0);
    llvm::Value *end = e.atMost(high, ceilDivide(inside));
    llvm::Value *row = e.b.CreateSub(begin, low);
    llvm::Value *inRow = e.add(e.mul(row, axis.stride), kernelRow);
    llvm::Value *column = e.offset(inCopy_, e.mul(inRow, sizes_.inRowBytes()));
    column = e.offset(column, e.mul(e.mod(kernelColumn, plan_.width.stride), sizes_.phaseBytes()));
    column = e.offset(column, e.mul(e.div(kernelColumn, plan_.width.stride), kPixelBytes));
    llvm::Value *tap = e.add(e.mul(kernelRow, plan_.width.taps), kernelColumn);
    const TileKernels::Args args{e.offset(copy, e.mul(row, sizes_.gradRowBytes())),
                                 column,
                                 e.argument(1),
                                 {e.b.CreateSub(end, begin)},
                                 e.offset(sums, e.mul(tap, kSumBytes))};
    switchPanels(panel, item.depthPanel, [&](int64_t channels, int64_t depths) {
      const auto rowTiles = static_cast<int>(ceilDiv(channels, kTileRows)),
                 columnTiles = static_cast<int>(ceilDiv(depths, kTileRows));
      tiles_.call(fmt::format("add{}x{}", rowTiles, columnTiles), args,
                  [&](const TileKernels::Args &a) { addRows(a, rowTiles, columnTiles); });
    });
  }

  void switchPanels(llvm::Value *panel, llvm::Value *depthPanel,
                    const std::function<void(int64_t channels, int64_t depths)> &f) {
    emitPanelSwitch(e, panel, plan_.channels, kPanelChannels, [&](int64_t channels) {
      emitPanelSwitch(e, depthPanel, plan_.depth, kPanelChannels,
                      [&](int64_t depths) { f(channels, depths); });
    });
  }

  void addRows(const TileKernels::Args &args, int rowTiles, int columnTiles) {
    TileBlock shape{.rowTiles = rowTiles, .columnTiles = columnTiles, .ordered = hasDots(e.target)};
    shape.b.tileStride = sizes_.inTileBytes();
    TileProduct product(e, shape, args.partials);
    product.resume();
    e.loop(e.i64(0), args.numbers[0], 1, {args.row, args.column}, [&](llvm::Value *, const Values &row) {
      llvm::Value *next = e.count(sizes_.pairs(), row, [&](llvm::Value *, const Values &at) {
        product.step(at[0], at[1]);
        return Values{e.offset(at[0], kStepBytes), e.offset(at[1], kTileBytes)};
      })[0];
      return Values{next, e.offset(row[1], plan_.height.stride * sizes_.inRowBytes())};
    });
    product.store();
  }

  // ---- Results ----

  void emitStore(const Item &item, llvm::Value *panel, llvm::Value *sums) {
    const TileKernels::Args args{
        sums,
        sums,
        e.argument(1),
        {e.mul(panel, kPanelChannels), e.mul(item.depthPanel, kPanelChannels * plan_.taps())}};
    switchPanels(panel, item.depthPanel, [&](int64_t channels, int64_t depths) {
      tiles_.call(fmt::format("store{}x{}", channels, depths), args, [&](const TileKernels::Args &a) {
        e.count(channels, [&](llvm::Value *row) { storeRow(a, row, depths * plan_.taps()); });
      });
    });
  }

  /// Sums of one channel of the gradient: (channel of the input, tap) by 16, as they follow each other in the result.
  void storeRow(const TileKernels::Args &args, llvm::Value *row, int64_t elements) {
    LaneMath math(e);
    auto vector = [&](llvm::Value *first, llvm::Value *mask) {
      llvm::Value *number = math.lanes(math.consecutive(first));
      llvm::Value *at = e.b.CreateAdd(e.mul(e.mod(number, plan_.taps()), kSumBytes),
                                      e.mul(e.div(number, plan_.taps()), sizeof(float)));
      llvm::Value *pointers = e.b.CreateGEP(e.b.getInt8Ty(), e.offset(args.row, e.mul(row, kSumPitch)), at);
      llvm::FixedVectorType *type = e.vectorType(DType::F32);
      llvm::Value *lanes = e.b.CreateMaskedGather(type, pointers, llvm::Align(sizeof(float)), mask,
                                                  llvm::Constant::getNullValue(type));
      LaneIndex index;
      index.groups = {{1, math.uniform(e.add(args.numbers[0], row))},
                      {3, math.consecutive(e.add(args.numbers[1], first))}};
      index.mask = mask;
      const TileVector stored[] = {{lanes, index}};
      tiles_.store.store(stored);
    };
    const int64_t whole = elements / kVectorLanes * kVectorLanes;
    if (whole > 0)
      e.loop(e.i64(0), e.i64(whole), kVectorLanes, [&](llvm::Value *first) { vector(first, nullptr); });
    if (whole < elements)
      vector(e.i64(whole), e.laneMask(static_cast<int>(elements - whole)));
  }

  llvm::Value *ceilDivide(llvm::Value *value) {
    return e.div(e.add(value, e.i64(plan_.height.stride - 1)), plan_.height.stride);
  }

  KernelContext &k_;
  Emit &e;
  const TileConvWeight &plan_;
  TileKernels tiles_;
  const WeightSizes sizes_;
  llvm::Value *sums_ = nullptr, *gradCopy_ = nullptr, *inCopy_ = nullptr;
};

/// More panels of the gradient use a copy of the input more often, as long as there are items for several threads and
/// the sums stay in the cache. Then as many rows as half of the cache holds.
void blockForCache(TileConvWeight &plan, int64_t l2Bytes) {
  constexpr int64_t kEnoughItems = 8;
  const WeightSizes sizes(plan);
  plan.groupPanels = sizes.panels();
  while (plan.groupPanels > 1 && (sizes.items() < kEnoughItems || sizes.sumBytes() > l2Bytes / 4))
    --plan.groupPanels;
  plan.bandRows = plan.height.gradSize;
  while (plan.bandRows > 1 && sizes.copyBytes() > l2Bytes / 2)
    --plan.bandRows;
}

} // namespace

TileConvWeight planTileConvWeight(const Function &fn, OpId op, int64_t l2Bytes) {
  const OpData &data = fn[op];
  const Dict attrs = withDefaults(*data.def, data.attrs);
  const Type &x = fn.type(packedFrom(fn, data.operands[0])), &dy = fn.type(packedFrom(fn, data.operands[1]));
  const Shape &w = fn.type(data.results[0]).shape;
  const std::vector<int64_t> stride = attrs.ints("stride"), padding = attrs.ints("padding");
  auto pixel = [](const Type &type) { return kLanes * static_cast<int64_t>(dtypeSize(type.dtype)); };
  TileConvWeight plan;
  plan.blocks = laneBlocks(x.shape[0]);
  plan.channels = w[0];
  plan.depth = w[1];
  plan.height = {x.shape[2], dy.shape[2], w[2], stride[0], 1, padding[0]};
  plan.width = {x.shape[3], dy.shape[3], w[3], stride[1], 1, padding[2]};
  plan.gradType = dy.dtype;
  plan.gradPixel = pixel(dy);
  plan.gradRow = dy.shape[3] * plan.gradPixel;
  plan.gradChannel = dy.shape[2] * plan.gradRow;
  plan.gradBlock = dy.shape[1] * plan.gradChannel;
  plan.inputType = x.dtype;
  plan.inPixel = pixel(x);
  plan.inRow = x.shape[3] * plan.inPixel;
  plan.inDepth = x.shape[2] * plan.inRow;
  plan.inBlock = x.shape[1] * plan.inDepth;
  blockForCache(plan, l2Bytes);
  return plan;
}

KernelCode emitTileConvWeight(KernelContext &k, const TileConvWeight &plan, EpilogueStore &store,
                              int gradBuffer, int inputBuffer) {
  return TileConvWeightEmitter(k, plan, store).emit(gradBuffer, inputBuffer);
}

} // namespace gradc
