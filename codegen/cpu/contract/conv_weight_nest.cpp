#include "codegen/cpu/contract/conv_weight_nest.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {

std::vector<TapSegment> tapSegments(const ConvWeightAxis &axis, int64_t firstTap, int64_t taps) {
  std::vector<TapSegment> runs;
  for (int64_t o = 0; o < axis.gradSize; ++o) {
    uint32_t exist = 0;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t in = o * axis.stride - axis.padding + (firstTap + t) * axis.dilation;
      exist |= static_cast<uint32_t>(in >= 0 && in < axis.inSize) << t;
    }
    if (!runs.empty() && runs.back().taps == exist)
      ++runs.back().count;
    else
      runs.push_back({o, 1, exist});
  }
  return runs;
}

std::vector<ColumnTile> columnTiles(int64_t columns, int64_t tileSize) {
  std::vector<ColumnTile> tiles;
  for (const TileRun &run : balancedTiles(columns, tileSize))
    for (int64_t i = 0; i < run.count; ++i)
      tiles.push_back({run.start + i * run.size, run.size, static_cast<int64_t>(tiles.size())});
  return tiles;
}

namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

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
  ConvWeightEmitter(TileKernels &tiles, const ConvWeightNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), columnTiles_(columnTiles(nest.columns(), nest.tile.vectors)) {
  }

  void emit(llvm::Value *grad, llvm::Value *input) {
    const int64_t depthTiles = ceilDiv(nest_.depth, nest_.depthTile);
    const int64_t allTiles = countTiles(nest_.channelRuns()), parts = ceilDiv(allTiles, nest_.channelTiles);
    const int64_t segmentBlocks = nest_.blocks / nest_.segments;
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      // From the innermost out: input channels, channel tiles, group, segment.
      llvm::Value *firstInChannel = e.mul(e.mod(item, depthTiles), nest_.depthTile);
      llvm::Value *rest = e.div(item, depthTiles);
      llvm::Value *firstTile = e.mul(e.mod(rest, parts), nest_.channelTiles);
      rest = e.div(rest, parts);
      llvm::Value *group = e.mod(rest, nest_.groups);
      llvm::Value *segment = e.div(rest, nest_.groups);
      Item at{firstTile, e.atMost(e.add(firstTile, e.i64(nest_.channelTiles)), allTiles),
              group,     firstInChannel,
              segment,   grad,
              input};
      at.grad = e.offset(at.grad, e.mul(segment, segmentBlocks * nest_.gradBlock));
      at.grad = e.offset(at.grad, e.mul(group, nest_.gradGroup));
      at.input = e.offset(at.input, e.mul(segment, segmentBlocks * nest_.inBlock));
      at.input = e.offset(at.input, e.mul(group, nest_.inGroup));
      if (segmentBlocks * ceilDiv(nest_.height.gradSize, nest_.bandRows) == 1)
        inRegisters(at);
      else
        inSteps(at, segmentBlocks);
    });
  }

private:
  /// All taps of some tiles of channels of the gradient and of some of the input.
  struct Item {
    llvm::Value *firstTile, *endTile;
    llvm::Value *group, *firstInChannel, *segment;
    llvm::Value *grad, *input;
  };
  /// One register tile: channels of the gradient by taps of a kernel row of one input channel.
  struct Tile {
    int64_t channels;
    llvm::Value *channel; // the first, in the group
    llvm::Value *inChannel, *kernelRow;
    ColumnTile column;
    llvm::Value *partials; // its number among the item's tiles
  };

  /// Calls f for every register tile of an item: what is read of the input serves all channels first.
  void forTiles(const Item &at, const std::function<void(const Tile &)> &f) {
    llvm::Value *end = e.atMost(e.add(at.firstInChannel, e.i64(nest_.depthTile)), nest_.depth);
    auto channel = [&](llvm::Value *inChannel) {
      llvm::Value *rows = e.mul(e.b.CreateSub(inChannel, at.firstInChannel), nest_.height.taps);
      e.count(nest_.height.taps, [&](llvm::Value *kernelRow) {
        forColumns(at, inChannel, kernelRow, e.mul(e.add(rows, kernelRow), std::ssize(columnTiles_)), f);
      });
    };
    if (nest_.depthTile == 1 || nest_.columnsAreDepth())
      channel(at.firstInChannel);
    else
      e.loop(at.firstInChannel, end, 1, channel);
  }

  void forColumns(const Item &at, llvm::Value *inChannel, llvm::Value *kernelRow, llvm::Value *number,
                  const std::function<void(const Tile &)> &f) {
    auto one = [&](llvm::Value *tile, const ColumnTile &column) {
      emitTileSwitch(e, nest_.channelRuns(), tile, [&](llvm::Value *channel, const TileRun &run) {
        llvm::Value *partials = e.mul(e.add(number, e.i64(column.number)), nest_.channelTiles);
        f({run.size, channel, inChannel, kernelRow, column,
           e.add(partials, e.b.CreateSub(tile, at.firstTile))});
      });
    };
    if (nest_.columnsAreDepth()) // a band of the gradient's channels is more than one of the input's
      return e.loop(at.firstTile, at.endTile, 1, [&](llvm::Value *tile) {
        for (const ColumnTile &column : columnTiles_)
          one(tile, column);
      });
    for (const ColumnTile &column : columnTiles_)
      if (nest_.channelTiles == 1)
        one(at.firstTile, column);
      else
        e.loop(at.firstTile, at.endTile, 1, [&](llvm::Value *tile) { one(tile, column); });
  }

  /// One block of images and one band of rows: the accumulators never leave the registers.
  void inRegisters(const Item &at) {
    forTiles(at, [&](const Tile &tile) {
      const TileKernels::Args args = arguments(at, tile, e.i64(0), e.i64(nest_.height.gradSize));
      call("whole", tile, args, [&](const TileKernels::Args &inner) {
        const RegisterTileShape shape = tileShape(tile);
        storeTile(inner, tile, sums(inner, shape, tile.column, zeroAccumulators(e, shape)));
      });
    });
  }

  /// Block by block and band by band, so that a band of the gradient and of the input is in L1 for all taps. The
  /// accumulators wait in scratch memory and start from there.
  void inSteps(const Item &at, int64_t blocks) {
    auto inBlock = [&](llvm::Value *block) {
      Item moved = at;
      moved.grad = e.offset(at.grad, e.mul(block, nest_.gradBlock));
      moved.input = e.offset(at.input, e.mul(block, nest_.inBlock));
      return moved;
    };
    const int64_t rows = nest_.height.gradSize;
    if (nest_.bandRows == rows && nest_.columnsAreDepth()) {
      step(inBlock(e.i64(0)), e.i64(0), e.i64(rows), Part::First);
      if (blocks > 2)
        e.loop(e.i64(1), e.i64(blocks - 1), 1,
               [&](llvm::Value *block) { step(inBlock(block), e.i64(0), e.i64(rows), Part::Middle); });
      return step(inBlock(e.i64(blocks - 1)), e.i64(0), e.i64(rows), Part::Last);
    }
    e.clear(e.scratch(), nest_.scratchBytes() / kPixel, 4);
    e.count(blocks, [&](llvm::Value *block) {
      const Item there = inBlock(block);
      e.loop(e.i64(0), e.i64(rows), nest_.bandRows, [&](llvm::Value *low) {
        step(there, low, e.atMost(e.add(low, e.i64(nest_.bandRows)), rows), Part::Middle);
      });
    });
    forTiles(at, [&](const Tile &tile) {
      call("store", tile, arguments(at, tile, e.i64(0), e.i64(0)), [&](const TileKernels::Args &inner) {
        storeTile(inner, tile, loadPartials(inner.partials, tileShape(tile)));
      });
    });
  }

  /// How accumulators begin and where they go. Short steps show what their way through memory costs; code for each
  /// part is for kernels of few taps, whose code is short.
  enum class Part : uint8_t { First, Middle, Last };

  void step(const Item &at, llvm::Value *low, llvm::Value *high, Part part) {
    constexpr std::string_view names[] = {"first", "add", "last"};
    forTiles(at, [&](const Tile &tile) {
      call(names[static_cast<size_t>(part)], tile, arguments(at, tile, low, high),
           [&](const TileKernels::Args &inner) { stepBody(inner, tile, part); });
    });
  }

  void stepBody(const TileKernels::Args &args, const Tile &tile, Part part) {
    RegisterTileShape shape = tileShape(tile);
    if (nest_.wholePlanes())
      shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
        fetchNext(args, tile, part, iteration, iterations);
      };
    const Values result =
        sums(args, shape, tile.column,
             part == Part::First ? zeroAccumulators(e, shape) : loadPartials(args.partials, shape));
    if (part == Part::Last)
      return storeTile(args, tile, result);
    for (size_t i = 0; i < result.size(); ++i)
      e.b.CreateAlignedStore(result[i], e.offset(args.partials, static_cast<int64_t>(i) * kPixel),
                             llvm::Align(4));
  }

  /// An item reads the gradient of its channels once, from no cache: each tile of columns fetches its share of what the
  /// tiles behind the last one read.
  void fetchNext(const TileKernels::Args &args, const Tile &tile, Part part, llvm::Value *iteration,
                 int64_t iterations) {
    const int64_t planes = tile.channels * nest_.gradChannel, lines = planes / kCacheLine;
    int64_t next = planes;
    if (nest_.channelTiles == 1)
      next = part == Part::Last ? planes - (nest_.blocks / nest_.segments - 1) * nest_.gradBlock
                                : nest_.gradBlock;
    const int64_t each = ceilDiv(ceilDiv(tile.column.size * lines, nest_.columns()), iterations);
    llvm::Value *line =
        e.add(e.div(e.mul(args.numbers[kColumn], lines), nest_.columns()), e.mul(iteration, each));
    llvm::Value *first = e.offset(e.offset(args.row, next), e.mul(line, kCacheLine));
    for (int64_t i = 0; i < each; ++i)
      emitPrefetch(e, e.offset(first, i * kCacheLine), Cache::L2);
  }

  Values loadPartials(llvm::Value *partials, const RegisterTileShape &shape) {
    Values loaded;
    for (int64_t i = 0; i < shape.rows() * shape.columns(); ++i)
      loaded.push_back(
          e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(partials, i * kPixel), llvm::Align(4)));
    return loaded;
  }

  // Numbers that a tile's function gets.
  enum Number : uint8_t { kChannel, kInChannel, kKernelRow, kColumn, kSegment, kRows };

  /// The operands at the first gradient row from `low` that the kernel row meets, the partial sums and the numbers.
  TileKernels::Args arguments(const Item &at, const Tile &tile, llvm::Value *low, llvm::Value *high) {
    const ConvWeightAxis &axis = nest_.height;
    llvm::Value *in = e.add(e.mul(tile.kernelRow, axis.dilation), e.i64(-axis.padding)); // of gradient row 0
    if (!rowsAlways()) {
      low = e.atLeast(low, ceilDivide(e.atLeast(e.b.CreateNeg(in), 0), axis.stride));
      llvm::Value *end = ceilDivide(e.atLeast(e.b.CreateSub(e.i64(axis.inSize), in), 0), axis.stride);
      high = e.atMost(high, end);
    }
    llvm::Value *rows = e.atLeast(e.b.CreateSub(high, low), 0);
    TileKernels::Args args{
        .row = e.offset(e.offset(at.grad, e.mul(tile.channel, nest_.gradChannel)), e.mul(low, nest_.gradRow)),
        .column = e.offset(at.input, e.mul(e.add(in, e.mul(low, axis.stride)), nest_.inRow)),
        .buffers = e.argument(1),
        .numbers = {e.add(e.mul(at.group, nest_.channels), tile.channel), tile.inChannel, tile.kernelRow,
                    e.i64(tile.column.start), at.segment, rows},
        .partials = nullptr};
    args.column = e.offset(e.offset(args.column, e.mul(tile.inChannel, nest_.inDepth)),
                           tile.column.start * columnStride());
    if (nest_.scratchBytes())
      args.partials = e.offset(e.scratch(), e.mul(tile.partials, nest_.partialBytes()));
    return args;
  }

  /// Which positions exist depends on the taps of the tile, so tiles of taps have functions of their own.
  void call(std::string_view what, const Tile &tile, const TileKernels::Args &args,
            const TileKernels::Body &body) {
    const int64_t firstTap = nest_.columnsAreDepth() ? 0 : tile.column.start;
    tiles_.call(fmt::format("{}.{}x{}.{}", what, tile.channels, tile.column.size, firstTap), args, body);
  }

  bool rowsAlways() const {
    for (int64_t tap = 0; tap < nest_.height.taps; ++tap)
      if (gradRange(nest_.height, tap).second != nest_.height.gradSize)
        return false;
    return true;
  }

  llvm::Value *ceilDivide(llvm::Value *value, int64_t divisor) {
    return e.div(e.add(value, e.i64(divisor - 1)), divisor);
  }

  /// Bytes from one column of the tile to the next.
  int64_t columnStride() const {
    return nest_.columnsAreDepth() ? nest_.inDepth : nest_.width.dilation * kPixel;
  }

  RegisterTileShape tileShape(const Tile &tile) const {
    RegisterTileShape shape;
    shape.broadcastRows = false;
    for (int64_t i = 0; i < tile.channels; ++i)
      shape.rowOffsets.push_back(i * nest_.gradChannel);
    for (int64_t j = 0; j < tile.column.size; ++j)
      shape.columnOffsets.push_back(j * columnStride());
    return shape;
  }

  Values sums(const TileKernels::Args &args, const RegisterTileShape &shape, const ColumnTile &column,
              Values start) {
    return emitRegisterTile(e, shape, reduction(column), args.row, args.column, {args.numbers[kRows]},
                            std::move(start));
  }

  void storeTile(const TileKernels::Args &args, const Tile &tile, const Values &accumulators) {
    const int64_t columns = tile.column.size;
    std::vector<TileVector> vectors;
    for (int64_t i = 0; i < tile.channels; ++i) {
      const auto first = accumulators.begin() + i * columns;
      vectors.push_back({emitLaneSums(e, Values(first, first + columns)), indexOf(args, i, columns)});
    }
    tiles_.store.store(vectors);
  }

  /// Of the finished sums of one channel: neighbouring taps, or neighbouring input channels of a 1×1 kernel.
  LaneIndex indexOf(const TileKernels::Args &args, int64_t i, int64_t count) {
    LaneMath math(e);
    const LaneValue channel = math.uniform(e.add(args.numbers[kChannel], e.i64(i)));
    llvm::Value *first = args.numbers[kColumn];
    if (nest_.columnsAreDepth())
      first = e.add(first, args.numbers[kInChannel]);
    const LaneValue column = math.consecutive(first);
    std::vector<LaneValue> dims;
    if (nest_.segments > 1)
      dims.push_back(math.uniform(args.numbers[kSegment]));
    if (nest_.columnsAreDepth())
      dims.insert(dims.end(), {channel, column, math.constant(0), math.constant(0)});
    else
      dims.insert(dims.end(), {channel, math.uniform(args.numbers[kInChannel]),
                               math.uniform(args.numbers[kKernelRow]), column});
    return LaneIndex::of(std::move(dims),
                         count == kVectorLanes ? nullptr : e.laneMask(static_cast<int>(count)));
  }

  /// Gradient rows, gradient columns.
  Reduction reduction(const ColumnTile &column) const {
    if (nest_.wholePlanes())
      return Reduction::loop(nest_.height.gradSize * nest_.width.gradSize, kPixel, kPixel, Reduction::step());
    const int64_t inStep = nest_.width.stride * kPixel;
    const int64_t firstTap = nest_.columnsAreDepth() ? 0 : column.start;
    std::vector<Reduction::Part> parts;
    for (const TapSegment &segment :
         tapSegments(nest_.width, firstTap, nest_.columnsAreDepth() ? 1 : column.size))
      if (segment.taps)
        parts.push_back({segment.start * kPixel, segment.start * inStep - nest_.width.padding * kPixel,
                         nest_.columnsAreDepth() ? ~0u : segment.taps,
                         Reduction::loop(segment.count, kPixel, inStep, Reduction::step())});
    return Reduction::runtimeLoop(0, true, nest_.gradRow, nest_.height.stride * nest_.inRow,
                                  std::move(parts));
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvWeightNest &nest_;
  const std::vector<ColumnTile> columnTiles_;
};

} // namespace

int64_t gatherItems(const ConvWeightNest &nest) { return nest.blocks * nest.groups * nest.depth; }

void emitGather(Emit &e, const ConvWeightNest &nest, llvm::Value *input, llvm::Value *gathered) {
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *plane) {
    llvm::Value *source = e.offset(input, e.mul(plane, nest.sourceDepth)),
                *target = e.offset(gathered, e.mul(plane, nest.inDepth));
    e.count(nest.height.inSize, [&](llvm::Value *row) {
      llvm::Value *from = e.offset(source, e.mul(row, nest.sourceRow)),
                  *to = e.offset(target, e.mul(row, nest.inRow));
      e.count(nest.width.inSize, [&](llvm::Value *pixel) {
        llvm::Value *vector = e.b.CreateAlignedLoad(
            e.vectorType(DType::F32), e.offset(from, e.mul(pixel, nest.sourcePixel)), llvm::Align(4));
        e.b.CreateAlignedStore(vector, e.offset(to, e.mul(pixel, kPixel)), llvm::Align(4));
      });
    });
  });
}

void emitNest(TileKernels &tiles, const ConvWeightNest &nest, llvm::Value *grad, llvm::Value *input) {
  ConvWeightEmitter(tiles, nest).emit(grad, input);
}

} // namespace gradc
