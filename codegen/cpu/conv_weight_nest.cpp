#include "codegen/cpu/conv_weight_nest.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

/// Positions of a gradient row at which the same columns of the tile exist.
struct Segment {
  int64_t start = 0, count = 0;
  uint32_t columns = 0;
};

std::vector<Segment> segments(const ConvWeightAxis &axis, int64_t firstTap, int64_t taps) {
  std::vector<Segment> runs;
  for (int64_t o = 0; o < axis.gradSize; ++o) {
    uint32_t columns = 0;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t in = o * axis.stride - axis.padding + (firstTap + t) * axis.dilation;
      columns |= static_cast<uint32_t>(in >= 0 && in < axis.inSize) << t;
    }
    if (!runs.empty() && runs.back().columns == columns)
      ++runs.back().count;
    else
      runs.push_back({o, 1, columns});
  }
  return runs;
}

/// Gradient rows from which tap `tap` reads the input: first and number.
std::pair<int64_t, int64_t> gradRange(const ConvWeightAxis &axis, int64_t tap) {
  int64_t first = 0, count = 0;
  for (int64_t o = 0; o < axis.gradSize; ++o) {
    const int64_t in = o * axis.stride - axis.padding + tap * axis.dilation;
    if (in >= 0 && in < axis.inSize && count++ == 0)
      first = o;
  }
  return {first, count};
}

class ConvWeightEmitter {
public:
  ConvWeightEmitter(TileKernels &tiles, const ConvWeightNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(llvm::Value *grad, llvm::Value *input) {
    const std::vector<TileRun> channelRuns = balancedTiles(nest_.channels, nest_.tile.rows);
    const std::vector<TileRun> columnRuns = balancedTiles(nest_.columns(), nest_.tile.vectors);
    const int64_t columnTiles = countTiles(columnRuns);
    const int64_t kernelRows = nest_.height.taps;
    const int64_t depths = nest_.columnsAreDepth() ? 1 : nest_.depth;
    const int64_t channelTiles = countTiles(channelRuns);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      // From the innermost out: column tile, kernel row, input channel, channel tile, group, segment.
      llvm::Value *columnTile = e.mod(item, columnTiles);
      llvm::Value *rest = e.div(item, columnTiles);
      llvm::Value *kernelRow = e.mod(rest, kernelRows);
      rest = e.div(rest, kernelRows);
      llvm::Value *inChannel = e.mod(rest, depths);
      rest = e.div(rest, depths);
      llvm::Value *channelTile = e.mod(rest, channelTiles);
      rest = e.div(rest, channelTiles);
      llvm::Value *group = e.mod(rest, nest_.groups);
      llvm::Value *segment = e.div(rest, nest_.groups);
      const int64_t segmentBlocks = nest_.blocks / nest_.segments;
      llvm::Value *gradBase = e.offset(grad, e.mul(segment, segmentBlocks * nest_.gradBlock));
      llvm::Value *inBase = e.offset(input, e.mul(segment, segmentBlocks * nest_.inBlock));
      TileKernels::Args args{e.offset(gradBase, e.mul(group, nest_.gradGroup)),
                             e.offset(e.offset(inBase, e.mul(group, nest_.inGroup)), e.mul(inChannel, nest_.inDepth)),
                             e.argument(1),
                             {group, inChannel, kernelRow}};
      placeRows(args);
      segment_ = segment;
      emitTileSwitch(e, channelRuns, channelTile, [&](llvm::Value *channel, const TileRun &channels) {
        size_t run = 0;
        emitTileSwitch(e, columnRuns, columnTile, [&](llvm::Value *column, const TileRun &) {
          tile(args, channel, channels.size, column, columnRuns, run++);
        });
      });
    });
  }

private:
  /// Moves the operands to the first gradient row that the kernel row meets, and adds how many there are.
  void placeRows(TileKernels::Args &args) {
    const ConvWeightAxis &axis = nest_.height;
    llvm::Value *in = e.add(e.mul(args.numbers[2], axis.dilation), e.i64(-axis.padding)); // of gradient row 0
    llvm::Value *first = e.i64(0);
    if (!rowsAlways()) {
      first = ceilDivide(atLeastZero(e.b.CreateNeg(in)), axis.stride);
      llvm::Value *last = ceilDivide(atLeastZero(e.b.CreateSub(e.i64(axis.inSize), in)), axis.stride);
      last = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, last, e.i64(axis.gradSize));
      args.numbers.push_back(atLeastZero(e.b.CreateSub(last, first)));
    } else {
      args.numbers.push_back(e.i64(axis.gradSize));
    }
    args.row = e.offset(args.row, e.mul(first, nest_.gradRow));
    args.column = e.offset(args.column, e.mul(e.add(in, e.mul(first, axis.stride)), nest_.inRow));
  }

  bool rowsAlways() const {
    for (int64_t tap = 0; tap < nest_.height.taps; ++tap)
      if (gradRange(nest_.height, tap).second != nest_.height.gradSize)
        return false;
    return true;
  }

  llvm::Value *atLeastZero(llvm::Value *value) {
    return e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value, e.i64(0));
  }
  llvm::Value *ceilDivide(llvm::Value *value, int64_t divisor) {
    return e.div(e.add(value, e.i64(divisor - 1)), divisor);
  }

  void tile(TileKernels::Args args, llvm::Value *channel, int64_t channels, llvm::Value *column,
            const std::vector<TileRun> &columnRuns, size_t runNumber) {
    const TileRun &run = columnRuns[runNumber];
    const auto call = [&](llvm::Value *first, int64_t firstTap) {
      TileKernels::Args inner = args;
      inner.row = e.offset(inner.row, e.mul(channel, nest_.gradChannel));
      inner.column = e.offset(inner.column, e.mul(first, columnStride()));
      inner.numbers.push_back(e.add(e.mul(inner.numbers[0], nest_.channels), channel));
      inner.numbers.push_back(first);
      if (nest_.segments > 1)
        inner.numbers.push_back(segment_);
      tiles_.call(fmt::format("{}x{}.{}", channels, run.size, firstTap), inner,
                  [&](const TileKernels::Args &body) { tileBody(body, channels, run.size, firstTap); });
    };
    if (nest_.columnsAreDepth() || run.count == 1)
      return call(column, nest_.columnsAreDepth() ? 0 : run.start);
    // Which positions exist depends on the tap: a function per tile.
    std::vector<TileRun> single;
    for (int64_t i = 0; i < run.count; ++i)
      single.push_back({run.start + i * run.size, run.size, 1});
    switchByStart(column, single, 0, call);
  }

  void switchByStart(llvm::Value *column, const std::vector<TileRun> &tiles, size_t number,
                     const std::function<void(llvm::Value *, int64_t)> &call) {
    auto here = [&] { call(e.i64(tiles[number].start), tiles[number].start); };
    if (number + 1 == tiles.size())
      return here();
    emitIf(e, e.b.CreateICmpEQ(column, e.i64(tiles[number].start)), here,
           [&] { switchByStart(column, tiles, number + 1, call); });
  }

  /// Bytes from one column of the tile to the next.
  int64_t columnStride() const {
    return nest_.columnsAreDepth() ? nest_.inDepth : nest_.width.dilation * kPixel;
  }

  void tileBody(const TileKernels::Args &args, int64_t channels, int64_t columns, int64_t firstTap) {
    RegisterTileShape shape;
    shape.broadcastRows = false;
    for (int64_t i = 0; i < channels; ++i)
      shape.rowOffsets.push_back(i * nest_.gradChannel);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * columnStride());
    Values sums = emitRegisterTile(e, shape, reduction(columns, firstTap), args.row, args.column,
                                   {args.numbers[3]}, zeroAccumulators(e, shape));
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < channels; ++i) {
      const auto first = sums.begin() + i * columns;
      tile.push_back({emitLaneSums(e, Values(first, first + columns)), indexOf(args, i, static_cast<int>(columns))});
    }
    tiles_.store.store(tile);
  }

  /// Of the finished sums of one channel: neighbouring taps, or neighbouring input channels of a 1×1 kernel.
  LaneIndex indexOf(const TileKernels::Args &args, int64_t i, int count) {
    LaneMath math(e);
    const LaneValue channel = math.uniform(e.add(args.numbers[4], e.i64(i)));
    const LaneValue column = math.consecutive(args.numbers[5]);
    std::vector<LaneValue> dims;
    if (nest_.segments > 1)
      dims.push_back(math.uniform(args.numbers[6]));
    if (nest_.columnsAreDepth())
      dims.insert(dims.end(), {channel, column, math.constant(0), math.constant(0)});
    else
      dims.insert(dims.end(), {channel, math.uniform(args.numbers[1]), math.uniform(args.numbers[2]), column});
    return LaneIndex::of(std::move(dims), count == kVectorLanes ? nullptr : e.laneMask(count));
  }

  /// Blocks of images, gradient rows, gradient columns.
  Reduction reduction(int64_t columns, int64_t firstTap) const {
    const int64_t inStep = nest_.width.stride * kPixel;
    std::vector<Reduction::Part> parts;
    for (const Segment &segment : segments(nest_.width, firstTap, nest_.columnsAreDepth() ? 1 : columns))
      if (segment.columns)
        parts.push_back({segment.start * kPixel,
                         segment.start * inStep - nest_.width.padding * kPixel,
                         nest_.columnsAreDepth() ? ~0u : segment.columns,
                         Reduction::loop(segment.count, kPixel, inStep, Reduction::step())});
    bool sometimesNone = false;
    for (int64_t tap = 0; tap < nest_.height.taps; ++tap)
      sometimesNone |= gradRange(nest_.height, tap).second == 0;
    Reduction rows = Reduction::runtimeLoop(0, sometimesNone, nest_.gradRow, nest_.height.stride * nest_.inRow,
                                            std::move(parts));
    return Reduction::loop(nest_.blocks / nest_.segments, nest_.gradBlock, nest_.inBlock, std::move(rows));
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvWeightNest &nest_;
  llvm::Value *segment_ = nullptr; // of the current item
};

} // namespace

int64_t ConvWeightNest::items() const {
  const int64_t columnTiles = countTiles(balancedTiles(columns(), tile.vectors));
  const int64_t channelTiles = countTiles(balancedTiles(channels, tile.rows));
  return segments * groups * channelTiles * (columnsAreDepth() ? 1 : depth) * height.taps * columnTiles;
}

void emitNest(TileKernels &tiles, const ConvWeightNest &nest, llvm::Value *grad, llvm::Value *input) {
  ConvWeightEmitter(tiles, nest).emit(grad, input);
}

} // namespace gradc
