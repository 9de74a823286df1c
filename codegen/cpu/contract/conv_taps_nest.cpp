#include "codegen/cpu/contract/conv_taps_nest.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

/// Neighbouring steps through the rows of the gradient for which the same taps exist row by row.
struct Band {
  int64_t start = 0, rows = 0, count = 1;
  std::vector<TapSegment> segments; // of kernel rows, from the band's first row
};

/// The part of the segments that lies in rows start .. start + rows - 1, counted from there.
std::vector<TapSegment> cut(const std::vector<TapSegment> &segments, int64_t start, int64_t rows) {
  std::vector<TapSegment> inside;
  for (const TapSegment &s : segments) {
    const int64_t low = std::max(s.start, start), high = std::min(s.start + s.count, start + rows);
    if (low < high)
      inside.push_back({low - start, high - low, s.taps});
  }
  return inside;
}

std::vector<Band> bandsOf(const ConvTapsNest &nest) {
  const std::vector<TapSegment> segments = tapSegments(nest.height, 0, nest.height.taps);
  std::vector<Band> bands;
  for (int64_t start = 0; start < nest.height.gradSize; start += nest.stepRows) {
    const int64_t rows = std::min(nest.stepRows, nest.height.gradSize - start);
    std::vector<TapSegment> inside = cut(segments, start, rows);
    if (!bands.empty() && bands.back().rows == rows && bands.back().segments == inside)
      ++bands.back().count;
    else
      bands.push_back({start, rows, 1, std::move(inside)});
  }
  return bands;
}

class ConvTapsEmitter {
public:
  ConvTapsEmitter(TileKernels &tiles, const ConvTapsNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), bands_(bandsOf(nest)),
        columns_(columnTiles(nest.taps(), nest.tile.vectors)) {}

  void emit(llvm::Value *grad, llvm::Value *input) {
    const int64_t allTiles = countTiles(nest_.channelRuns()), parts = ceilDiv(allTiles, nest_.channelTiles),
                  depthTiles = ceilDiv(nest_.depth, nest_.depthTile);
    const int64_t blocks = nest_.blocks / nest_.segments;
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      // From the innermost out: channel tiles, input channels, group, segment.
      llvm::Value *firstTile = e.mul(e.mod(item, parts), nest_.channelTiles);
      llvm::Value *rest = e.div(item, parts);
      llvm::Value *firstInChannel = e.mul(e.mod(rest, depthTiles), nest_.depthTile);
      rest = e.div(rest, depthTiles);
      llvm::Value *group = e.mod(rest, nest_.groups), *segment = e.div(rest, nest_.groups);
      Item at{.firstTile = firstTile,
              .endTile = e.atMost(e.add(firstTile, e.i64(nest_.channelTiles)), allTiles),
              .firstInChannel = firstInChannel,
              .group = group,
              .segment = segment,
              .grad = e.offset(grad, e.mul(segment, blocks * nest_.gradBlock)),
              .input = e.offset(input, e.mul(segment, blocks * nest_.inBlock))};
      at.grad = e.offset(at.grad, e.mul(group, nest_.gradGroup));
      at.input = e.offset(at.input, e.mul(group, nest_.inGroup));
      if (nest_.steps() == 1)
        inRegisters(at);
      else
        inSteps(at, blocks);
    });
  }

private:
  struct Item {
    llvm::Value *firstTile, *endTile, *firstInChannel, *group, *segment;
    llvm::Value *grad, *input; // of the group
  };
  /// One register tile: channels of the gradient by taps of one input channel.
  struct Tile {
    int64_t channels;
    llvm::Value *channel, *inChannel; // channel: the first, in the group
    const ColumnTile &column;
    llvm::Value *partials; // its number among the item's tiles
  };

  // Numbers that a tile's function gets.
  enum Number : uint8_t { kChannel, kInChannel, kSegment };

  /// Calls f for every register tile of an item: what is read of the gradient serves all input channels first.
  void forTiles(const Item &at, const std::function<void(const Tile &)> &f) {
    auto one = [&](llvm::Value *tile) {
      emitTileSwitch(e, nest_.channelRuns(), tile, [&](llvm::Value *channel, const TileRun &run) {
        llvm::Value *number = e.mul(e.b.CreateSub(tile, at.firstTile), nest_.depthTile);
        forDepth(at, [&](llvm::Value *inChannel) {
          llvm::Value *pair = e.add(number, e.b.CreateSub(inChannel, at.firstInChannel));
          for (const ColumnTile &column : columns_)
            f({run.size, channel, inChannel, column,
               e.add(e.mul(pair, std::ssize(columns_)), e.i64(column.number))});
        });
      });
    };
    if (nest_.channelTiles == 1)
      one(at.firstTile);
    else
      e.loop(at.firstTile, at.endTile, 1, one);
  }

  void forDepth(const Item &at, const std::function<void(llvm::Value *)> &f) {
    if (nest_.depthTile == 1)
      return f(at.firstInChannel);
    llvm::Value *end = e.atMost(e.add(at.firstInChannel, e.i64(nest_.depthTile)), nest_.depth);
    e.loop(at.firstInChannel, end, 1, f);
  }

  void inRegisters(const Item &at) {
    forTiles(at, [&](const Tile &tile) {
      call("whole", tile, arguments(at, tile), [&](const TileKernels::Args &inner) {
        const RegisterTileShape shape = tileShape(tile);
        storeTile(inner, tile,
                  emitRegisterTile(e, shape, reduction(bands_[0], tile.column), inner.row, inner.column, {},
                                   zeroAccumulators(e, shape)));
      });
    });
  }

  void inSteps(const Item &at, int64_t blocks) {
    e.clear(e.scratch(), nest_.scratchBytes() / kPixel, 4);
    e.count(blocks / nest_.stepBlocks, [&](llvm::Value *step) {
      Item inStep = at;
      inStep.grad = e.offset(at.grad, e.mul(step, nest_.stepBlocks * nest_.gradBlock));
      inStep.input = e.offset(at.input, e.mul(step, nest_.stepBlocks * nest_.inBlock));
      for (size_t b = 0; b < bands_.size(); ++b)
        e.count(bands_[b].count, [&](llvm::Value *i) { accumulate(inStep, b, i); });
    });
    forTiles(at, [&](const Tile &tile) {
      call("store", tile, arguments(at, tile), [&](const TileKernels::Args &inner) {
        storeTile(inner, tile, loadPartials(inner.partials, tile.channels * tile.column.size));
      });
    });
  }

  void accumulate(Item at, size_t number, llvm::Value *repetition) {
    const Band &band = bands_[number];
    llvm::Value *row = e.add(e.mul(repetition, band.rows), e.i64(band.start));
    at.grad = e.offset(at.grad, e.mul(row, nest_.gradRow));
    at.input = e.offset(at.input, e.mul(row, nest_.height.stride * nest_.inRow));
    forTiles(at, [&](const Tile &tile) {
      const TileKernels::Args args = arguments(at, tile);
      call(fmt::format("add{}", number), tile, args, [&](const TileKernels::Args &inner) {
        const RegisterTileShape shape = tileShape(tile);
        const Values result =
            emitRegisterTile(e, shape, reduction(band, tile.column), inner.row, inner.column, {},
                             loadPartials(inner.partials, shape.rows() * shape.columns()));
        for (size_t i = 0; i < result.size(); ++i)
          e.b.CreateAlignedStore(result[i], e.offset(inner.partials, static_cast<int64_t>(i) * kPixel),
                                 llvm::Align(4));
      });
    });
  }

  Values loadPartials(llvm::Value *partials, int64_t count) {
    Values loaded;
    for (int64_t i = 0; i < count; ++i)
      loaded.push_back(
          e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(partials, i * kPixel), llvm::Align(4)));
    return loaded;
  }

  TileKernels::Args arguments(const Item &at, const Tile &tile) {
    TileKernels::Args args{
        .row = e.offset(at.grad, e.mul(tile.channel, nest_.gradChannel)),
        .column = e.offset(at.input, e.mul(tile.inChannel, nest_.inDepth)),
        .buffers = e.argument(1),
        .numbers = {e.add(e.mul(at.group, nest_.channels), tile.channel), tile.inChannel, at.segment},
        .partials = nullptr};
    if (nest_.scratchBytes())
      args.partials = e.offset(e.scratch(), e.mul(tile.partials, nest_.partialBytes()));
    return args;
  }

  void call(std::string_view what, const Tile &tile, const TileKernels::Args &args,
            const TileKernels::Body &body) {
    const ColumnTile &column = tile.column;
    tiles_.call(fmt::format("{}.{}x{}.{}", what, tile.channels, column.size, column.start), args, body);
  }

  RegisterTileShape tileShape(const Tile &tile) const {
    const ConvWeightAxis &h = nest_.height, &w = nest_.width;
    const ColumnTile &column = tile.column;
    RegisterTileShape shape;
    shape.broadcastRows = false;
    shape.reloadColumns = tile.channels > 1;
    for (int64_t i = 0; i < tile.channels; ++i)
      shape.rowOffsets.push_back(i * nest_.gradChannel);
    for (int64_t tap = column.start; tap < column.start + column.size; ++tap)
      shape.columnOffsets.push_back(!nest_.tapOffsets.empty()
                                        ? nest_.tapOffsets[tap]
                                        : (tap / w.taps * h.dilation - h.padding) * nest_.inRow +
                                              (tap % w.taps * w.dilation - w.padding) * kPixel);
    return shape;
  }

  /// Those columns of the tile whose kernel row and kernel column exist.
  uint32_t columnMask(const ColumnTile &column, uint32_t kernelRows, uint32_t kernelColumns) const {
    uint32_t mask = 0;
    for (int64_t j = 0; j < column.size; ++j) {
      const int64_t tap = column.start + j;
      mask |= (kernelRows >> (tap / nest_.width.taps) & kernelColumns >> (tap % nest_.width.taps) & 1u) << j;
    }
    return mask;
  }

  /// Some in a row, where there are many rows: it makes the loop a tenth faster.
  Reduction pixels(int64_t count, bool manyRows) const {
    Reduction loop = Reduction::loop(count, kPixel, nest_.width.stride * kPixel, Reduction::step());
    if (manyRows)
      loop.unroll = count % 3 == 0 ? 3 : std::min<int64_t>(count, 2);
    return loop;
  }

  /// Blocks, gradient rows, gradient columns.
  Reduction reduction(const Band &band, const ColumnTile &column) const {
    const int64_t inRow = nest_.height.stride * nest_.inRow, inPixel = nest_.width.stride * kPixel;
    const std::vector<TapSegment> widths = tapSegments(nest_.width, 0, nest_.width.taps);
    std::vector<Reduction::Part> rows;
    for (const TapSegment &h : band.segments) {
      Reduction row = Reduction::loop(h.count, nest_.gradRow, inRow, Reduction::step());
      row.parts.clear();
      for (const TapSegment &w : widths)
        if (const uint32_t mask = columnMask(column, h.taps, w.taps))
          row.parts.push_back({w.start * kPixel, w.start * inPixel, mask, pixels(w.count, h.count > 1)});
      if (!row.parts.empty())
        rows.push_back({h.start * nest_.gradRow, h.start * inRow, ~0u, std::move(row)});
    }
    Reduction blocks = Reduction::loop(nest_.stepBlocks, nest_.gradBlock, nest_.inBlock, Reduction::step());
    blocks.parts = std::move(rows);
    return blocks;
  }

  void storeTile(const TileKernels::Args &args, const Tile &tile, const Values &accumulators) {
    LaneMath math(e);
    const ColumnTile &column = tile.column;
    std::vector<TileVector> vectors;
    for (int64_t i = 0; i < tile.channels; ++i) {
      const auto first = accumulators.begin() + i * column.size;
      LaneIndex index;
      if (nest_.segments > 1)
        index.groups.push_back({1, math.uniform(args.numbers[kSegment])});
      index.groups.push_back({1, math.uniform(e.add(args.numbers[kChannel], e.i64(i)))});
      index.groups.push_back({1, math.uniform(args.numbers[kInChannel])});
      index.groups.push_back({2, math.consecutive(e.i64(column.start))}); // both dimensions of the kernel
      index.mask = e.laneMask(static_cast<int>(column.size));
      vectors.push_back({emitLaneSums(e, Values(first, first + column.size)), index});
    }
    tiles_.store.store(vectors);
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvTapsNest &nest_;
  const std::vector<Band> bands_;
  const std::vector<ColumnTile> columns_;
};

} // namespace

void emitNest(TileKernels &tiles, const ConvTapsNest &nest, llvm::Value *grad, llvm::Value *input) {
  ConvTapsEmitter(tiles, nest).emit(grad, input);
}

} // namespace gradc
