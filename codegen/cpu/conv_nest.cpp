#include "codegen/cpu/conv_nest.h"

#include <algorithm>

#include <fmt/format.h>

#include "support/check.h"

namespace gradc {

ConvAxis ConvAxis::forward(int64_t inSize, int64_t outSize, int64_t kernel, int64_t stride, int64_t dilation,
                           int64_t padding) {
  return {
      inSize,
      {{.count = outSize, .taps = kernel, .inStart = -padding, .inPerOut = stride, .inPerTap = dilation}}};
}

ConvAxis ConvAxis::gradInput(int64_t inputSize, int64_t gradSize, int64_t kernel, int64_t stride,
                             int64_t dilation, int64_t padding) {
  CHECK(stride == 1 || dilation == 1);
  ConvAxis axis{gradSize, {}};
  for (int64_t phase = 0; phase < std::min(stride, inputSize); ++phase) {
    // input = out · stride - padding + tap · dilation, solved for out.
    const int64_t tapStart = (phase + padding) % stride;
    axis.phases.push_back({.outStart = phase,
                           .outStep = stride,
                           .count = ceilDiv(inputSize - phase, stride),
                           .tapStart = tapStart,
                           .tapStep = stride,
                           .taps = std::max<int64_t>(0, ceilDiv(kernel - tapStart, stride)),
                           .inStart = (phase + padding - tapStart) / stride,
                           .inPerOut = 1,
                           .inPerTap = -dilation});
  }
  return axis;
}

namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

/// Tiles of neighbouring pixels for which the same taps exist: bit j of taps[t] says that tap t reads the operand
/// for pixel j of the tile.
struct PixelRun {
  TileRun run;
  std::vector<uint32_t> taps;

  bool complete() const {
    const uint32_t all = (1u << run.size) - 1;
    return std::ranges::all_of(taps, [&](uint32_t mask) { return mask == all; });
  }
};

std::vector<PixelRun> pixelRuns(const ConvPhase &phase, int64_t inSize, int64_t maxSize) {
  std::vector<PixelRun> runs;
  for (const TileRun &tiles : balancedTiles(phase.count, maxSize)) {
    for (int64_t start = tiles.start; start < tiles.end(); start += tiles.size) {
      std::vector<uint32_t> taps(phase.taps, 0);
      for (int64_t t = 0; t < phase.taps; ++t)
        for (int64_t j = 0; j < tiles.size; ++j) {
          const int64_t in = phase.inStart + phase.inPerOut * (start + j) + phase.inPerTap * t;
          taps[t] |= static_cast<uint32_t>(in >= 0 && in < inSize) << j;
        }
      if (!runs.empty() && runs.back().run.size == tiles.size && runs.back().taps == taps)
        ++runs.back().run.count;
      else
        runs.push_back({{start, tiles.size, 1}, std::move(taps)});
    }
  }
  return runs;
}

/// First and number of taps that exist for result position j of a phase.
struct TapRange {
  int64_t first, count;
};
TapRange tapRange(const ConvPhase &phase, int64_t inSize, int64_t j) {
  TapRange range{0, 0};
  for (int64_t t = 0; t < phase.taps; ++t) {
    const int64_t in = phase.inStart + phase.inPerOut * j + phase.inPerTap * t;
    if (in < 0 || in >= inSize)
      continue;
    if (range.count++ == 0)
      range.first = t;
  }
  return range;
}

/// What tapRange says over all positions.
struct TapFacts {
  bool always = true; // every tap exists everywhere
  bool sometimesNone = false;
};
TapFacts tapFacts(const ConvPhase &phase, int64_t inSize) {
  TapFacts facts;
  for (int64_t j = 0; j < phase.count; ++j) {
    const TapRange range = tapRange(phase, inSize, j);
    facts.always &= range.count == phase.taps;
    facts.sometimesNone |= range.count == 0;
  }
  return facts;
}

class ConvEmitter {
public:
  ConvEmitter(TileKernels &tiles, const ConvNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(llvm::Value *weights, llvm::Value *input) {
    const std::vector<TileRun> channelRuns = balancedTiles(nest_.channels, nest_.tile.rows);
    std::vector<TileRun> rowRuns; // result rows, phase by phase
    int64_t rows = 0;
    for (const ConvPhase &phase : nest_.height.phases) {
      rowRuns.push_back({0, 1, phase.count});
      rows += phase.count;
    }
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t channelTiles = countTiles(channelRuns);
      llvm::Value *channelTile = e.mod(item, channelTiles);
      llvm::Value *rest = e.div(item, channelTiles);
      llvm::Value *group = e.mod(rest, nest_.groups);
      rest = e.div(rest, nest_.groups);
      llvm::Value *block = e.div(rest, rows);
      size_t phase = 0;
      emitTileSwitch(e, rowRuns, e.mod(rest, rows), [&](llvm::Value *row, const TileRun &) {
        const ConvPhase &height = nest_.height.phases[phase];
        Row at{block, group, row, static_cast<int>(phase++), {}};
        at.args.buffers = e.argument(1);
        at.args.row = e.offset(weights, e.mul(group, nest_.weightGroup));
        at.args.column = e.offset(e.offset(input, e.mul(block, nest_.inBlock)), e.mul(group, nest_.inGroup));
        at.args.numbers = {block, nullptr, e.add(e.mul(row, height.outStep), e.i64(height.outStart)),
                           nullptr};
        placeTaps(at);
        emitTileSwitch(e, channelRuns, channelTile, [&](llvm::Value *channel, const TileRun &channels) {
          rowOfTiles(at, channel, channels.size);
        });
      });
    });
  }

private:
  /// One row of the result, of one block of images and one group.
  struct Row {
    llvm::Value *block, *group, *row;
    int phase;
    TileKernels::Args
        args; // operands at the first tap that exists; numbers: block, channel, row, column, extent
  };

  /// Moves the operands to the first kernel row that exists for the result row, and adds how many do.
  void placeTaps(Row &at) {
    const ConvPhase &phase = nest_.height.phases[at.phase];
    llvm::Value *in = e.add(e.mul(at.row, phase.inPerOut), e.i64(phase.inStart)); // of tap 0
    llvm::Value *first = e.i64(0);
    if (!tapFacts(phase, nest_.height.inSize).always) {
      llvm::Value *last; // one past the last tap
      if (phase.inPerTap > 0) {
        first = ceilDivide(atLeast(e.b.CreateNeg(in), 0), phase.inPerTap);
        last = ceilDivide(atLeast(e.b.CreateSub(e.i64(nest_.height.inSize), in), 0), phase.inPerTap);
      } else {
        const int64_t step = -phase.inPerTap;
        first = ceilDivide(atLeast(e.add(in, e.i64(1 - nest_.height.inSize)), 0), step);
        last = ceilDivide(atLeast(e.add(in, e.i64(1)), 0), step);
      }
      last = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, e.i64(phase.taps));
      at.args.numbers.push_back(atLeast(e.b.CreateSub(last, first), 0));
    }
    llvm::Value *tap = e.add(e.mul(first, phase.tapStep), e.i64(phase.tapStart));
    at.args.row = e.offset(at.args.row, e.mul(tap, nest_.weightRow));
    at.args.column = e.offset(at.args.column, e.mul(e.add(in, e.mul(first, phase.inPerTap)), nest_.inRow));
  }

  llvm::Value *atLeast(llvm::Value *value, int64_t low) {
    return e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value, e.i64(low));
  }
  llvm::Value *ceilDivide(llvm::Value *value, int64_t divisor) {
    return e.div(e.add(value, e.i64(divisor - 1)), divisor);
  }

  /// All pixel tiles of one row for one tile of channels.
  void rowOfTiles(const Row &at, llvm::Value *channel, int64_t channels) {
    int variant = 0;
    for (const ConvPhase &phase : nest_.width.phases)
      for (const PixelRun &pixels : pixelRuns(phase, nest_.width.inSize, nest_.tile.vectors)) {
        emitTileLoops(e, {pixels.run}, [&](llvm::Value *pixel, const TileRun &) {
          TileKernels::Args args = at.args;
          args.row = e.offset(args.row, e.add(e.mul(channel, nest_.weightChannel),
                                              e.i64(phase.tapStart * nest_.weightColumn)));
          args.column = e.offset(args.column,
                                 e.add(e.mul(pixel, phase.inPerOut * kPixel), e.i64(phase.inStart * kPixel)));
          args.numbers[1] = e.add(e.mul(at.group, nest_.channels), channel);
          args.numbers[3] = e.add(e.mul(pixel, phase.outStep), e.i64(phase.outStart));
          tiles_.call(fmt::format("{}x{}.{}.{}", channels, pixels.run.size, at.phase, variant), args,
                      [&](const TileKernels::Args &inner) {
                        tileBody(inner, nest_.height.phases[at.phase], phase, pixels, channels);
                      });
        });
        ++variant;
      }
  }

  void tileBody(const TileKernels::Args &args, const ConvPhase &height, const ConvPhase &width,
                const PixelRun &pixels, int64_t channels) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < channels; ++i)
      shape.rowOffsets.push_back(i * nest_.weightChannel);
    for (int64_t j = 0; j < pixels.run.size; ++j)
      shape.columnOffsets.push_back(j * width.inPerOut * kPixel);
    const Values extents(args.numbers.begin() + 4, args.numbers.end());
    Values sums = zeroAccumulators(e, shape);
    if (height.taps > 0 && width.taps > 0)
      sums = emitRegisterTile(e, shape, reduction(height, width, pixels), args.row, args.column, extents,
                              std::move(sums));
    LaneMath math(e);
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < channels; ++i)
      for (int64_t j = 0; j < pixels.run.size; ++j)
        tile.push_back(
            {sums[i * pixels.run.size + j],
             LaneIndex::of({math.consecutive(e.mul(args.numbers[0], kVectorLanes), kVectorLanes),
                            math.uniform(e.add(args.numbers[1], e.i64(i))), math.uniform(args.numbers[2]),
                            math.uniform(e.add(args.numbers[3], e.i64(j * width.outStep)))})});
    tiles_.store.store(tile);
  }

  /// Kernel rows, kernel columns, channels of the operand.
  Reduction reduction(const ConvPhase &height, const ConvPhase &width, const PixelRun &pixels) const {
    const Reduction depth = Reduction::loop(nest_.depth, nest_.weightDepth, nest_.inDepth, Reduction::step());
    const int64_t weightStep = width.tapStep * nest_.weightColumn, inStep = width.inPerTap * kPixel;
    std::vector<Reduction::Part> parts;
    if (pixels.complete())
      parts.push_back({.reduction = Reduction::loop(width.taps, weightStep, inStep, depth)});
    else
      for (int64_t t = 0; t < width.taps; ++t)
        if (pixels.taps[t])
          parts.push_back({t * weightStep, t * inStep, pixels.taps[t], depth});
    const TapFacts facts = tapFacts(height, nest_.height.inSize);
    Reduction rows = Reduction::runtimeLoop(0, facts.sometimesNone, height.tapStep * nest_.weightRow,
                                            height.inPerTap * nest_.inRow, std::move(parts));
    if (facts.always) {
      rows.extentSlot = Reduction::kStatic;
      rows.extent = height.taps;
    }
    return rows;
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvNest &nest_;
};

} // namespace

int64_t ConvNest::items() const {
  int64_t rows = 0;
  for (const ConvPhase &phase : height.phases)
    rows += phase.count;
  return blocks * rows * groups * countTiles(balancedTiles(channels, tile.rows));
}

void emitNest(TileKernels &tiles, const ConvNest &nest, llvm::Value *weights, llvm::Value *input) {
  ConvEmitter(tiles, nest).emit(weights, input);
}

} // namespace gradc
