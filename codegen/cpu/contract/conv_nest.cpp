#include "codegen/cpu/contract/conv_nest.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/conv_fetch.h"
#include "codegen/cpu/contract/panel.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kPixel = kVectorLanes * kFloat;
constexpr int64_t kCopiedTogether = 8; // pixels

class ConvEmitter {
public:
  ConvEmitter(TileKernels &tiles, const ConvNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), fetch_(e, tiles.store, nest) {}

  void emit(llvm::Value *weights, llvm::Value *input) {
    const std::vector<TileRun> channelRuns = balancedTiles(nest_.channels, nest_.tile.rows);
    const std::vector<TileRun> bands = nest_.bands();
    const std::vector<int> phases = hostPhases(nest_.height);
    const Values nothingPacked = nest_.packInput ? Values{e.i64(-1)} : Values{};
    e.loop(e.itemBegin(), e.itemEnd(), 1, nothingPacked, [&](llvm::Value *item, const Values &packed) {
      // From the innermost out: channel tile, group, band of rows, block of images.
      llvm::Value *channelTile = e.mod(item, nest_.channelTiles());
      llvm::Value *place = e.div(item, nest_.channelTiles());
      llvm::Value *group = e.mod(place, nest_.groups);
      llvm::Value *rest = e.div(place, nest_.groups);
      llvm::Value *block = e.div(rest, countTiles(bands));
      llvm::Value *image = e.offset(input, e.mul(block, nest_.inImage));
      auto phase = phases.begin();
      emitTileSwitch(e, bands, e.mod(rest, countTiles(bands)), [&](llvm::Value *row, const TileRun &run) {
        Band band{block,
                  group,
                  *phase++,
                  row,
                  nullptr,
                  e.offset(image, e.mul(group, nest_.inGroup)),
                  e.offset(weights, e.mul(group, weightGroup()))};
        band.end = e.atMost(e.add(row, e.i64(run.size)), height(band).count);
        if (nest_.packInput)
          packOnce(band, e.b.CreateICmpEQ(place, packed[0]));
        if (fetch_.pays() && bands.size() == 1)
          band.next = rowsOf(e.add(place, e.i64(1)), run, input);
        emitTileSwitch(e, channelRuns, channelTile, [&](llvm::Value *channel, const TileRun &channels) {
          auto one = [&](llvm::Value *at) { rowsOfPhases(band, at, channel, channels.size); };
          if (run.size == 1)
            one(row);
          else
            e.loop(row, band.end, 1, one, false);
        });
      });
      return nest_.packInput ? Values{place} : Values{};
    });
  }

private:
  /// Rows row .. end - 1 of the result, of one phase, block of images and group.
  struct Band {
    llvm::Value *block, *group;
    int phase;
    llvm::Value *row, *end;
    llvm::Value *input, *weights; // input: position 0 of the first channel
    llvm::Value *next = nullptr;  // the rows of the operand that the next band reads
  };
  /// One row of it.
  struct Row {
    const Band &band;
    /// The operand at the first kernel row that exists; numbers: block, channel, row, column, extent, next rows.
    TileKernels::Args args;
    llvm::Value *firstTap = nullptr; // that kernel row
  };
  struct InputStrides {
    int64_t depth, row, pixel;
  };
  struct WeightStrides {
    int64_t channel, depth, row, column;
  };

  const ConvPhase &height(const Band &band) const { return nest_.height.phases[band.phase]; }

  InputStrides inputStrides() const {
    if (nest_.packInput)
      return {kPixel, nest_.width.inSize * nest_.packedPixel(), nest_.packedPixel()};
    return {nest_.inDepth, nest_.inRow, kPixel};
  }
  /// Of a tile with so many channels.
  WeightStrides weightStrides(int64_t channels) const {
    if (!nest_.packWeights)
      return {nest_.weightChannel, nest_.weightDepth, nest_.weightRow, nest_.weightColumn};
    const int64_t column = nest_.depth * channels * kFloat;
    return {kFloat, channels * kFloat, nest_.kernelWidth * column, column};
  }
  int64_t weightGroup() const {
    return nest_.packWeights ? nest_.channels * nest_.packedChannelBytes() : nest_.weightGroup;
  }

  /// The rows of the operand of a place, where all bands are like this one.
  llvm::Value *rowsOf(llvm::Value *place, const TileRun &run, llvm::Value *input) {
    const ConvPhase &phase = nest_.height.phases[hostPhases(nest_.height).front()];
    llvm::Value *rest = e.div(place, nest_.groups);
    llvm::Value *row = e.add(e.mul(e.mod(rest, run.count), run.size * phase.inPerOut), e.i64(phase.inStart));
    llvm::Value *image = e.offset(input, e.mul(e.div(rest, run.count), nest_.inImage));
    image = e.offset(image, e.mul(e.mod(place, nest_.groups), nest_.inGroup));
    return e.offset(image, e.mul(row, nest_.inRow));
  }

  /// Copies the rows of the operand that the band reads, unless `done`, and lets it read them there.
  void packOnce(Band &band, llvm::Value *done) {
    const ConvPhase &phase = height(band);
    if (phase.taps == 0)
      return;
    const int64_t span = phase.inPerTap * (phase.taps - 1);
    llvm::Value *low =
        e.add(e.mul(band.row, phase.inPerOut), e.i64(phase.inStart + std::min<int64_t>(span, 0)));
    llvm::Value *high = e.add(e.mul(band.end, phase.inPerOut),
                              e.i64(phase.inStart - phase.inPerOut + std::max<int64_t>(span, 0) + 1));
    low = e.atLeast(low, 0);
    high = e.atMost(high, nest_.height.inSize);
    emitIf(
        e, done, [] {},
        [&] {
          const TileKernels::Args args{.row = e.offset(band.input, e.mul(low, nest_.inRow)),
                                       .column = e.scratch(),
                                       .buffers = e.argument(1),
                                       .numbers = {e.b.CreateSub(high, low)}};
          tiles_.call("pack", args, [&](const TileKernels::Args &inner) { copyRows(inner); });
        });
    band.input = e.offset(e.scratch(), e.mul(e.b.CreateNeg(low), inputStrides().row));
  }

  /// [depth][row][column] to [row][column][depth], by 16 images.
  void copyRows(const TileKernels::Args &args) {
    const InputStrides to = inputStrides();
    llvm::Type *type = e.vectorType(DType::F32);
    auto copy = [&](llvm::Value *from, llvm::Value *into, int64_t pixels) {
      Values vectors;
      for (int64_t i = 0; i < pixels; ++i)
        vectors.push_back(e.b.CreateAlignedLoad(type, e.offset(from, i * kPixel), llvm::Align(kFloat)));
      for (int64_t i = 0; i < pixels; ++i)
        e.b.CreateAlignedStore(vectors[i], e.offset(into, i * to.pixel), llvm::Align(kFloat));
    };
    e.loop(e.i64(0), args.numbers[0], 1, [&](llvm::Value *row) {
      llvm::Value *from = e.offset(args.row, e.mul(row, nest_.inRow));
      llvm::Value *into = e.offset(args.column, e.mul(row, to.row));
      e.count(nest_.depth, [&](llvm::Value *channel) {
        llvm::Value *source = e.offset(from, e.mul(channel, nest_.inDepth));
        llvm::Value *target = e.offset(into, e.mul(channel, to.depth));
        emitTileLoops(e, balancedTiles(nest_.width.inSize, kCopiedTogether),
                      [&](llvm::Value *column, const TileRun &run) {
                        copy(e.offset(source, e.mul(column, kPixel)),
                             e.offset(target, e.mul(column, to.pixel)), run.size);
                      });
      });
    });
  }

  /// A row of the band, with the operands at the first kernel row that exists for it, and the number of these.
  Row placeTaps(const Band &band, llvm::Value *row) {
    const ConvPhase &phase = height(band);
    Row at{band, {}, nullptr};
    at.args.buffers = e.argument(1);
    at.args.numbers = {band.block, nullptr, e.add(e.mul(row, phase.outStep), e.i64(phase.outStart)), nullptr};
    llvm::Value *in = e.add(e.mul(row, phase.inPerOut), e.i64(phase.inStart)); // of tap 0
    llvm::Value *first = e.i64(0);
    if (!tapFacts(phase, nest_.height.inSize).always) {
      llvm::Value *last; // one past the last tap
      if (phase.inPerTap > 0) {
        first = ceilDivide(e.atLeast(e.b.CreateNeg(in), 0), phase.inPerTap);
        last = ceilDivide(e.atLeast(e.b.CreateSub(e.i64(nest_.height.inSize), in), 0), phase.inPerTap);
      } else {
        const int64_t step = -phase.inPerTap;
        first = ceilDivide(e.atLeast(e.add(in, e.i64(1 - nest_.height.inSize)), 0), step);
        last = ceilDivide(e.atLeast(e.add(in, e.i64(1)), 0), step);
      }
      last = e.atMost(last, phase.taps);
      at.args.numbers.push_back(e.atLeast(e.b.CreateSub(last, first), 0));
    }
    if (band.next)
      at.args.numbers.insert(at.args.numbers.end(), {band.next, e.b.CreateSub(row, band.row)});
    at.firstTap = e.add(e.mul(first, phase.tapStep), e.i64(phase.tapStart));
    at.args.column = e.offset(band.input, e.mul(e.add(in, e.mul(first, phase.inPerTap)), inputStrides().row));
    return at;
  }

  llvm::Value *ceilDivide(llvm::Value *value, int64_t divisor) {
    return e.div(e.add(value, e.i64(divisor - 1)), divisor);
  }

  /// A row of the band's phase and those of its guests.
  void rowsOfPhases(const Band &band, llvm::Value *row, llvm::Value *channel, int64_t channels) {
    for (int phase = 0; phase < std::ssize(nest_.height.phases); ++phase) {
      if (hostPhase(nest_.height, phase) != band.phase)
        continue;
      Band there = band;
      there.phase = phase;
      auto tiles = [&] { rowOfTiles(placeTaps(there, row), channel, channels); };
      if (height(there).count == height(band).count)
        tiles();
      else
        emitIf(e, e.b.CreateICmpSLT(row, e.i64(height(there).count)), tiles, [] {});
    }
  }

  /// All pixel tiles of one row for one tile of channels.
  void rowOfTiles(const Row &at, llvm::Value *channel, int64_t channels) {
    const WeightStrides weights = weightStrides(channels);
    const int64_t pixelStride = inputStrides().pixel;
    const int64_t toChannel = nest_.packWeights ? nest_.packedChannelBytes() : nest_.weightChannel;
    llvm::Value *row =
        e.offset(e.offset(at.band.weights, e.mul(channel, toChannel)), e.mul(at.firstTap, weights.row));
    int variant = 0;
    for (const ConvPhase &phase : nest_.width.phases)
      for (const PixelRun &pixels : pixelRuns(phase, nest_.width.inSize, nest_.tile.vectors)) {
        emitTileLoops(e, {pixels.run}, [&](llvm::Value *pixel, const TileRun &) {
          TileKernels::Args args = at.args;
          args.row = e.offset(row, phase.tapStart * weights.column);
          args.column = e.offset(args.column, e.add(e.mul(pixel, phase.inPerOut * pixelStride),
                                                    e.i64(phase.inStart * pixelStride)));
          args.numbers[1] = e.add(e.mul(at.band.group, nest_.channels), channel);
          args.numbers[3] = e.add(e.mul(pixel, phase.outStep), e.i64(phase.outStart));
          tiles_.call(fmt::format("{}x{}.{}.{}", channels, pixels.run.size, at.band.phase, variant), args,
                      [&](const TileKernels::Args &inner) {
                        tileBody(inner, height(at.band), phase, pixels, channels);
                      });
        });
        ++variant;
      }
  }

  void tileBody(const TileKernels::Args &args, const ConvPhase &height, const ConvPhase &width,
                const PixelRun &pixels, int64_t channels) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < channels; ++i)
      shape.rowOffsets.push_back(i * weightStrides(channels).channel);
    for (int64_t j = 0; j < pixels.run.size; ++j)
      shape.columnOffsets.push_back(j * width.inPerOut * inputStrides().pixel);
    // Behind the extents stands what is fetched next.
    const Values extents(args.numbers.begin() + 4, args.numbers.end());
    if (fetch_.pays() && tapFacts(height, nest_.height.inSize).always)
      shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
        if (nest_.bands().size() == 1)
          fetch_.operand(shareOf(args, width, channels, pixels.run.size), iteration, iterations);
        fetch_.result(placeOf(args, height, width, channels, pixels.run.size), iteration, iterations);
      };
    Values sums = zeroAccumulators(e, shape);
    if (height.taps > 0 && width.taps > 0)
      sums = emitRegisterTile(e, shape, reduction(height, width, pixels, channels), args.row, args.column,
                              extents, std::move(sums));
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

  /// As large a part of what the next band reads as the tile is of this one.
  ConvFetch::Share shareOf(const TileKernels::Args &args, const ConvPhase &width, int64_t channels,
                           int64_t pixels) const {
    llvm::Value *next = args.numbers[args.numbers.size() - 2], *row = args.numbers.back();
    const int64_t rows = nest_.bands().front().size,
                  rowLines = nest_.bandInputRows(rows) * nest_.width.inSize;
    const int64_t lines = nest_.depth * rowLines, all = nest_.channels * rows * width.count;
    llvm::Value *pixel = e.add(e.mul(row, width.count), e.div(args.numbers[3], width.outStep));
    llvm::Value *before =
        e.add(e.mul(e.mod(args.numbers[1], nest_.channels), rows * width.count), e.mul(pixel, channels));
    return {next, e.div(e.mul(before, lines), all), ceilDiv(channels * pixels * lines, all), rowLines};
  }

  ImagePlace placeOf(const TileKernels::Args &args, const ConvPhase &height, const ConvPhase &width,
                     int64_t channels, int64_t pixels) const {
    const bool withGuests = hostPhases(nest_.height).size() == 1;
    return {args.numbers[0],
            args.numbers[1],
            withGuests ? e.add(args.numbers[2], e.i64(-height.outStart)) : args.numbers[2],
            e.add(args.numbers[3], e.i64(-width.outStart)),
            channels,
            withGuests ? height.outStep : 1,
            pixels * width.outStep};
  }

  /// Kernel rows, kernel columns, channels of the operand.
  Reduction reduction(const ConvPhase &height, const ConvPhase &width, const PixelRun &pixels,
                      int64_t channels) const {
    const WeightStrides weights = weightStrides(channels);
    const InputStrides in = inputStrides();
    const Reduction depth = Reduction::loop(nest_.depth, weights.depth, in.depth, Reduction::step());
    const int64_t weightStep = width.tapStep * weights.column, inStep = width.inPerTap * in.pixel;
    std::vector<Reduction::Part> parts;
    if (pixels.complete())
      parts.push_back({.reduction = Reduction::loop(width.taps, weightStep, inStep, depth)});
    else
      for (int64_t t = 0; t < width.taps; ++t)
        if (pixels.taps[t])
          parts.push_back({t * weightStep, t * inStep, pixels.taps[t], depth});
    const TapFacts facts = tapFacts(height, nest_.height.inSize);
    Reduction rows = Reduction::runtimeLoop(0, facts.sometimesNone, height.tapStep * weights.row,
                                            height.inPerTap * in.row, std::move(parts));
    if (facts.always) {
      rows.extentSlot = Reduction::kStatic;
      rows.extent = height.taps;
    }
    return rows;
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvNest &nest_;
  const ConvFetch fetch_;
};

/// Whether the taps of a tile's channels are transposed in registers, or copied one by one, which is less code.
bool packsByTransposing(const ConvNest &nest, const TileRun &run) {
  constexpr int64_t kEnough = 4;            // rows and columns of a block, for its shuffles
  constexpr int64_t kManyWeights = 1 << 16; // for a kilobyte and a half of code
  const int64_t taps = nest.kernelHeight * nest.kernelWidth;
  const bool oneAfterTheOther = nest.weightColumn == kFloat && nest.weightRow == nest.kernelWidth * kFloat;
  return oneAfterTheOther && run.size >= kEnough && run.size <= kVectorLanes && taps >= kEnough &&
         nest.groups * nest.channels * nest.depth * taps >= kManyWeights;
}

/// From [channel][taps] of each depth to [taps][depth][channel]. Whole vectors are stored, which the next depths
/// overwrite, and of the last depths their parts, so that nothing goes beyond the tap: tiles are packed in any order.
void transposeWeights(Emit &e, const ConvNest &nest, const TileRun &run, llvm::Value *source,
                      llvm::Value *target) {
  const int64_t taps = nest.kernelHeight * nest.kernelWidth, column = nest.depth * run.size * kFloat;
  const int64_t partial = std::min(ceilDiv(kVectorLanes - run.size, run.size), nest.depth);
  const int channels = static_cast<int>(run.size);
  auto depths = [&](int64_t begin, int64_t end, int lanes) {
    e.loop(e.i64(begin), e.i64(end), 1, [&](llvm::Value *depth) {
      llvm::Value *from = e.offset(source, e.mul(depth, nest.weightDepth));
      llvm::Value *to = e.offset(target, e.mul(depth, run.size * kFloat));
      for (int64_t tap = 0; tap < taps; tap += kVectorLanes)
        emitBlockTranspose(e, e.offset(from, tap * kFloat), nest.weightChannel, channels,
                           static_cast<int>(std::min<int64_t>(taps - tap, kVectorLanes)),
                           e.offset(to, tap * column), column, lanes);
    });
  };
  if (partial < nest.depth)
    depths(0, nest.depth - partial, kVectorLanes);
  if (partial > 0)
    depths(nest.depth - partial, nest.depth, channels);
}

} // namespace

int64_t packWeightsItems(const ConvNest &nest) { return nest.groups * nest.channelTiles(); }

void emitPackWeights(Emit &e, const ConvNest &nest, llvm::Value *weights, llvm::Value *packed) {
  const std::vector<TileRun> channelRuns = balancedTiles(nest.channels, nest.tile.rows);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    llvm::Value *group = e.div(item, nest.channelTiles());
    llvm::Value *source = e.offset(weights, e.mul(group, nest.weightGroup));
    llvm::Value *target = e.offset(packed, e.mul(group, nest.channels * nest.packedChannelBytes()));
    emitTileSwitch(
        e, channelRuns, e.mod(item, nest.channelTiles()), [&](llvm::Value *first, const TileRun &run) {
          const int64_t column = nest.depth * run.size * kFloat, row = nest.kernelWidth * column;
          llvm::Value *tileFrom = e.offset(source, e.mul(first, nest.weightChannel));
          llvm::Value *tileTo = e.offset(target, e.mul(first, nest.packedChannelBytes()));
          if (packsByTransposing(nest, run))
            return transposeWeights(e, nest, run, tileFrom, tileTo);
          e.count(nest.depth, [&](llvm::Value *channel) {
            e.count(run.size, [&](llvm::Value *i) {
              llvm::Value *from = e.offset(tileFrom, e.mul(i, nest.weightChannel));
              from = e.offset(from, e.mul(channel, nest.weightDepth));
              llvm::Value *to =
                  e.offset(e.offset(tileTo, e.mul(channel, run.size * kFloat)), e.mul(i, kFloat));
              e.count(nest.kernelHeight, [&](llvm::Value *kernelRow) {
                for (int64_t t = 0; t < nest.kernelWidth; ++t) {
                  llvm::Value *at =
                      e.offset(e.offset(from, e.mul(kernelRow, nest.weightRow)), t * nest.weightColumn);
                  e.b.CreateStore(e.b.CreateLoad(e.b.getFloatTy(), at),
                                  e.offset(e.offset(to, e.mul(kernelRow, row)), t * column));
                }
              });
            });
          });
        });
  });
}

void emitNest(TileKernels &tiles, const ConvNest &nest, llvm::Value *weights, llvm::Value *input) {
  ConvEmitter(tiles, nest).emit(weights, input);
}

} // namespace gradc
