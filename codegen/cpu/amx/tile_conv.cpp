#include "codegen/cpu/amx/tile_conv.h"

#include <algorithm>

#include <fmt/format.h>

#include "llvm/Analysis/VectorUtils.h"

#include "codegen/cpu/amx/tile_emulation.h"
#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kPanelTiles = 2, kPanelChannels = kPanelTiles * kTileRows;
constexpr int64_t kLine = TileConvSizes::kLine;
constexpr int64_t kStepBytes = kPanelTiles * kTileBytes;

class TileConvEmitter {
public:
  TileConvEmitter(KernelContext &k, const TileConv &plan, EpilogueStore &store)
      : k_(k), e(k.e), plan_(plan), tiles_(k.e, store, k.symbol), sizes_(plan),
        channelTiles_(ceilDiv(plan.channels, kTileRows)), panels_(ceilDiv(channelTiles_, kPanelTiles)),
        ordered_(hasDots(e.target) && sizes_.pairs % 2 == 0) {}

  KernelCode emit(int weightBuffer, int inputBuffer) {
    KernelCode code;
    code.steps = {emitPacking(weightBuffer), emitProduct(inputBuffer)};
    code.workspaceBytes = std::max<int64_t>(packedWeightBytes(), kStepBytes);
    return code;
  }

private:
  // ---- Weights ----

  /// Packed weights of a pair of phases: [panel][kernel row][tile of the depth][2 tiles of channels].
  int64_t packedBytes(const ConvPhase &height, const ConvPhase &width) const {
    return panels_ * height.taps * sizes_.walk(width).tiles() * kStepBytes;
  }
  int64_t packedWeightBytes() const { return packedOffset(plan_.height.phases.size(), 0); }
  int64_t packedOffset(size_t height, size_t width) const {
    int64_t offset = 0;
    for (size_t i = 0; i <= height && i < plan_.height.phases.size(); ++i)
      for (size_t j = 0; j < plan_.width.phases.size() && (i < height || j < width); ++j)
        offset += packedBytes(plan_.height.phases[i], plan_.width.phases[j]);
    return offset;
  }

  KernelStep emitPacking(int weightBuffer) {
    constexpr double kSecondsPerWeight = 0.5e-9;
    KernelStep step{.symbol = k_.symbol + ".pack", .items = channelTiles_};
    step.work = kSecondsPerWeight * static_cast<double>(packedWeightBytes() / 2);
    e.beginKernel(step.symbol);
    llvm::Value *source = e.buffer(weightBuffer), *target = e.buffer(k_.workspaceBuffer());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      for (size_t i = 0; i < plan_.height.phases.size(); ++i)
        for (size_t j = 0; j < plan_.width.phases.size(); ++j)
          packWeights(plan_.height.phases[i], plan_.width.phases[j], source,
                      e.offset(target, packedOffset(i, j)), item);
    });
    e.endFunction();
    return step;
  }

  /// The tiles of 16 channels of the result, for one pair of phases.
  void packWeights(const ConvPhase &height, const ConvPhase &width, llvm::Value *source, llvm::Value *target,
                   llvm::Value *tile) {
    const int64_t perRow = sizes_.walk(width).tiles();
    if (height.taps == 0 || perRow == 0)
      return;
    llvm::Value *first = e.mul(tile, kTileRows);
    target = e.offset(target, e.mul(e.div(tile, kPanelTiles), height.taps * perRow * kStepBytes));
    target = e.offset(target, e.mul(e.mod(tile, kPanelTiles), kTileBytes));
    e.count(height.taps, [&](llvm::Value *i) {
      llvm::Value *row = e.offset(source, e.mul(tapOf(height, i), plan_.weightRow));
      e.count(perRow, [&](llvm::Value *piece) {
        const Half halves[2] = {weightOffsets(width, e.mul(piece, kTileDepth)),
                                weightOffsets(width, e.add(e.mul(piece, kTileDepth), e.i64(kLanes)))};
        llvm::Value *to = e.offset(target, e.mul(e.add(e.mul(i, perRow), piece), kStepBytes));
        e.count(kTileRows, [&](llvm::Value *r) {
          llvm::Value *channel = e.add(first, r);
          llvm::Value *exists = e.splat(e.b.CreateICmpSLT(channel, e.i64(plan_.channels)));
          llvm::Value *from = e.offset(row, e.mul(channel, plan_.weightChannel));
          llvm::Value *line = llvm::concatenateVectors(
              e.b, {gather(from, halves[0], exists), gather(from, halves[1], exists)});
          line = e.b.CreateBitCast(line, e.vectorType(DType::I32));
          e.b.CreateAlignedStore(tileRow(e, line), e.offset(to, e.mul(r, kLine)), llvm::Align(kLine));
        });
      });
    });
  }

  /// Where 16 neighbours of the depth lie within a kernel row of the weights, and which of them exist.
  struct Half {
    llvm::Value *offsets, *exist;
  };
  Half weightOffsets(const ConvPhase &width, llvm::Value *first) {
    LaneMath math(e);
    llvm::Value *number = math.lanes(math.consecutive(first));
    llvm::Value *pixel = e.div(number, 2 * sizes_.pairs), *channel = e.mod(number, 2 * sizes_.pairs);
    auto constant = [&](int64_t value) {
      return llvm::ConstantInt::get(number->getType(), static_cast<uint64_t>(value));
    };
    llvm::Value *exist = e.b.CreateAnd(e.b.CreateICmpULT(pixel, constant(width.taps)),
                                       e.b.CreateICmpULT(channel, constant(plan_.depth)));
    llvm::Value *tap = width.inPerTap < 0 ? e.b.CreateSub(constant(width.taps - 1), pixel) : pixel;
    llvm::Value *column =
        e.mul(e.b.CreateAdd(e.mul(tap, width.tapStep), constant(width.tapStart)), plan_.weightColumn);
    return {e.b.CreateAdd(column, e.mul(channel, plan_.weightDepth)), exist};
  }
  llvm::Value *gather(llvm::Value *from, const Half &half, llvm::Value *exists) {
    llvm::FixedVectorType *type = e.vectorType(plan_.weightType);
    llvm::Value *pointers = e.b.CreateGEP(e.b.getInt8Ty(), from, half.offsets);
    llvm::Value *values =
        e.b.CreateMaskedGather(type, pointers, llvm::Align(dtypeSize(plan_.weightType)),
                               e.b.CreateAnd(half.exist, exists), llvm::Constant::getNullValue(type));
    return emitCast(e, values, plan_.weightType, DType::BF16);
  }

  /// The tap of number i in the operand's order, in the kernel.
  llvm::Value *tapOf(const ConvPhase &phase, llvm::Value *i) {
    llvm::Value *tap = phase.inPerTap < 0 ? e.b.CreateSub(e.i64(phase.taps - 1), i) : i;
    return e.add(e.mul(tap, phase.tapStep), e.i64(phase.tapStart));
  }

  // ---- The operand ----

  /// Rows low … high of 16 images.
  void packRows(llvm::Value *image, llvm::Value *low, llvm::Value *high) {
    const TileKernels::Args args{image, e.offset(e.scratch(), kSumBytes), e.argument(1), {low, high}};
    tiles_.call("rows", args, [&](const TileKernels::Args &a) {
      e.loop(a.numbers[0], a.numbers[1], 1, [&](llvm::Value *row) {
        llvm::Value *to = e.offset(a.column, e.mul(e.b.CreateSub(row, a.numbers[0]), sizes_.rowPitch()));
        packRow(e.offset(a.row, e.mul(row, plan_.inRow)), to);
      });
    });
  }

  void packRow(llvm::Value *from, llvm::Value *to) {
    constexpr int64_t kTogether = 8; // pixels
    const int64_t begin = std::max<int64_t>(sizes_.low, 0), end = std::min(sizes_.high, plan_.width.inSize);
    zeroLines(to, (begin - sizes_.low) * sizes_.pixelPitch());
    zeroLines(e.offset(to, (end - sizes_.low) * sizes_.pixelPitch()),
              (sizes_.high - end) * sizes_.pixelPitch() + sizes_.slack());
    emitTileLoops(e, balancedTiles(end - begin, kTogether), [&](llvm::Value *column, const TileRun &run) {
      llvm::Value *pixel = e.add(column, e.i64(begin));
      llvm::Value *source = e.offset(from, e.mul(pixel, plan_.inPixel));
      llvm::Value *target = e.offset(to, e.mul(e.add(pixel, e.i64(-sizes_.low)), sizes_.pixelPitch()));
      const int64_t together = ordered_ ? 2 : 1; // lines
      auto lines = [&](llvm::Value *number, int64_t channels) {
        llvm::Value *at = e.offset(source, e.mul(number, 2 * together * plan_.inDepth));
        llvm::Value *line = e.offset(target, e.mul(number, together * kLine));
        for (int64_t i = 0; i < run.size; ++i)
          for (int64_t j = 0; j < together; ++j)
            e.b.CreateAlignedStore(lineOf(e.offset(at, i * plan_.inPixel), j, channels),
                                   e.offset(line, i * sizes_.pixelPitch() + j * kLine), llvm::Align(kLine));
      };
      const int64_t whole = plan_.depth / (2 * together), rest = plan_.depth % (2 * together);
      if (whole)
        e.count(whole, [&](llvm::Value *number) { lines(number, 2 * together); });
      if (rest)
        lines(e.i64(whole), rest);
    });
  }

  /// Two channels of a pixel, image by image: those of a line among a few of which so many exist.
  llvm::Value *lineOf(llvm::Value *at, int64_t line, int64_t channels) {
    auto load = [&](int64_t channel) -> llvm::Value * {
      if (channel >= channels)
        return llvm::Constant::getNullValue(e.vectorType(DType::BF16));
      llvm::Value *images =
          e.b.CreateAlignedLoad(e.vectorType(plan_.inputType), e.offset(at, channel * plan_.inDepth),
                                llvm::Align(dtypeSize(plan_.inputType)));
      return emitCast(e, images, plan_.inputType, DType::BF16);
    };
    const auto [lower, upper] = ordered_ ? orderedPair(e.target, line) : std::array<int64_t, 2>{0, 1};
    std::vector<int> order;
    for (int i = 0; i < 2 * kVectorLanes; ++i)
      order.push_back(i / 2 + i % 2 * kVectorLanes);
    return e.b.CreateShuffleVector(load(lower), load(upper), order);
  }

  void zeroLines(llvm::Value *at, int64_t bytes) {
    if (bytes > 0)
      e.clear(at, bytes / kLine, kLine);
  }

  // ---- The product ----

  KernelStep emitProduct(int inputBuffer) {
    KernelStep step{.symbol = k_.symbol,
                    .items = plan_.blocks * sizes_.bands(),
                    .scratchBytes = kSumBytes + sizes_.operandBytes()};
    e.beginKernel(step.symbol);
    llvm::Value *input = e.buffer(inputBuffer), *weights = e.buffer(k_.workspaceBuffer());
    emitTileBegin(e);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *block = e.div(item, sizes_.bands());
      switchPhase(0, e.mod(item, sizes_.bands()), [&](size_t phase, llvm::Value *band) {
        emitBand(phase, band, block, e.offset(input, e.mul(block, plan_.inImage)), weights);
      });
    });
    emitTileEnd(e);
    e.endFunction();
    return step;
  }

  /// f(phase of the height, number of a band in it)
  using OnBand = std::function<void(size_t, llvm::Value *)>;
  void switchPhase(size_t phase, llvm::Value *band, const OnBand &f) {
    if (phase + 1 == plan_.height.phases.size())
      return f(phase, band);
    const int64_t here = ceilDiv(plan_.height.phases[phase].count, plan_.bandRows);
    emitIf(
        e, e.b.CreateICmpSLT(band, e.i64(here)), [&] { f(phase, band); },
        [&] { switchPhase(phase + 1, e.b.CreateSub(band, e.i64(here)), f); });
  }

  void emitBand(size_t number, llvm::Value *band, llvm::Value *block, llvm::Value *image,
                llvm::Value *weights) {
    const ConvPhase &height = plan_.height.phases[number];
    llvm::Value *first = e.mul(band, plan_.bandRows);
    llvm::Value *end = e.atMost(e.add(first, e.i64(plan_.bandRows)), height.count);
    llvm::Value *low = e.add(e.mul(first, height.inPerOut), e.i64(firstPosition(height)));
    llvm::Value *high = e.add(e.mul(e.b.CreateSub(end, first), height.inPerOut),
                              e.add(low, e.i64(height.taps - height.inPerOut)));
    llvm::Value *begin = e.atLeast(low, 0); // of the rows that exist
    packRows(image, begin, e.atMost(high, plan_.height.inSize));
    for (size_t j = 0; j < plan_.width.phases.size(); ++j) {
      llvm::Value *packed = e.offset(weights, packedOffset(number, j));
      e.count(panels_, [&](llvm::Value *panel) {
        e.loop(
            first, end, 1,
            [&](llvm::Value *row) {
              llvm::Value *top = e.add(e.mul(row, height.inPerOut), e.i64(firstPosition(height)));
              emitRow({height, plan_.width.phases[j], j, block, panel, row, top, begin, packed});
            },
            false);
      });
    }
  }

  /// A row of the result by a panel of channels.
  struct Row {
    const ConvPhase &height, &width;
    size_t widthPhase;
    llvm::Value *block, *panel, *row;
    llvm::Value *top, *begin; // operand rows: under the first tap, the first that is packed
    llvm::Value *weights;
  };

  void emitRow(const Row &at) {
    llvm::Value *skip = e.atLeast(e.b.CreateNeg(at.top), 0); // taps above the operand
    llvm::Value *taps = e.atLeast(
        e.b.CreateSub(e.atMost(e.b.CreateSub(e.i64(plan_.height.inSize), at.top), at.height.taps), skip), 0);
    const int64_t perRow = sizes_.walk(at.width).tiles() * kStepBytes;
    TileKernels::Args args;
    args.buffers = e.argument(1);
    args.partials = e.scratch();
    args.row = e.offset(at.weights, e.mul(e.add(e.mul(at.panel, at.height.taps), skip), perRow));
    llvm::Value *operand = e.b.CreateSub(e.add(at.top, skip), at.begin);
    llvm::Value *input = e.offset(e.offset(e.scratch(), kSumBytes), e.mul(operand, sizes_.rowPitch()));
    args.numbers = {at.block, e.mul(at.panel, kPanelChannels),
                    e.add(e.mul(at.row, at.height.outStep), e.i64(at.height.outStart)), nullptr, taps};
    emitTileLoops(e, pixelRuns(at.width), [&](llvm::Value *pixel, const TileRun &run) {
      TileKernels::Args inner = args;
      inner.column = e.offset(
          input, e.mul(e.add(e.mul(pixel, at.width.inPerOut), e.i64(firstPosition(at.width) - sizes_.low)),
                       sizes_.pixelPitch()));
      inner.numbers[3] = e.add(e.mul(pixel, at.width.outStep), e.i64(at.width.outStart));
      emitPanel(at, inner, run.size);
    });
  }

  /// Pairs of pixels, and the last one where it is alone.
  static std::vector<TileRun> pixelRuns(const ConvPhase &phase) {
    std::vector<TileRun> runs;
    if (phase.count > 1)
      runs.push_back({0, 2, phase.count / 2});
    if (phase.count % 2)
      runs.push_back({phase.count - 1, 1, 1});
    return runs;
  }

  void emitPanel(const Row &at, const TileKernels::Args &args, int64_t pixels) {
    emitPanelSwitch(e, at.panel, plan_.channels, kPanelChannels, [&](int64_t channels) {
      tiles_.call(fmt::format("{}x{}.{}", channels, pixels, at.widthPhase), args,
                  [&](const TileKernels::Args &a) { block(a, at.width, channels, pixels); });
    });
  }

  /// One block of sums and its epilogue. Numbers: block, channel, row, column, kernel rows.
  void block(const TileKernels::Args &args, const ConvPhase &width, int64_t channels, int64_t pixels) {
    TileBlock shape{.rowTiles = static_cast<int>(ceilDiv(channels, kTileRows)),
                    .columnTiles = static_cast<int>(pixels),
                    .ordered = ordered_};
    shape.b.tileStride = width.inPerOut * sizes_.pixelPitch();
    TileProduct product(e, shape, args.partials);
    product.zero();
    const TileConvSizes::Walk depth = sizes_.walk(width);
    if (depth.tiles() > 0)
      e.loop(e.i64(0), args.numbers[4], 1, {args.row, args.column}, [&](llvm::Value *, const Values &row) {
        llvm::Value *a = e.count(depth.groups, {row[0], row[1]}, [&](llvm::Value *, const Values &group) {
          llvm::Value *next = e.count(depth.pieces, group, [&](llvm::Value *, const Values &at) {
            product.step(at[0], at[1]);
            return Values{e.offset(at[0], kStepBytes), e.offset(at[1], kTileBytes)};
          })[0];
          return Values{next, e.offset(group[1], sizes_.pixelPitch())};
        })[0];
        return Values{a, e.offset(row[1], sizes_.rowPitch())};
      });
    product.store();
    LaneMath math(e);
    emitStoreRows(e, tiles_.store, args.partials, kSumPitch, channels, [&](llvm::Value *row) {
      std::vector<LaneIndex> at;
      for (int64_t i = 0; i < pixels; ++i)
        at.push_back(LaneIndex::of({math.consecutive(e.mul(args.numbers[0], kVectorLanes), kVectorLanes),
                                    math.uniform(e.add(args.numbers[1], row)), math.uniform(args.numbers[2]),
                                    math.uniform(e.add(args.numbers[3], e.i64(i * width.outStep)))}));
      return at;
    });
  }

  KernelContext &k_;
  Emit &e;
  const TileConv &plan_;
  TileKernels tiles_;
  const TileConvSizes sizes_;
  int64_t channelTiles_, panels_;
  bool ordered_; // four channels to two lines, as vector code likes to read them (tile_emulation.h)
};

} // namespace

KernelCode emitTileConv(KernelContext &k, const TileConv &plan, EpilogueStore &store, int weightBuffer,
                        int inputBuffer) {
  return TileConvEmitter(k, plan, store).emit(weightBuffer, inputBuffer);
}

} // namespace gradc
