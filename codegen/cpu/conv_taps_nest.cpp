#include "codegen/cpu/conv_taps_nest.h"

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
    const std::vector<TileRun> channelRuns = balancedTiles(nest_.channels, nest_.tile.rows);
    const int64_t channelTiles = countTiles(channelRuns), depthTiles = ceilDiv(nest_.depth, nest_.depthTile);
    const int64_t blocks = nest_.blocks / nest_.segments;
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      // From the innermost out: channel tile, input channels, group, segment.
      llvm::Value *channelTile = e.mod(item, channelTiles);
      llvm::Value *rest = e.div(item, channelTiles);
      llvm::Value *firstInChannel = e.mul(e.mod(rest, depthTiles), nest_.depthTile);
      rest = e.div(rest, depthTiles);
      llvm::Value *group = e.mod(rest, nest_.groups), *segment = e.div(rest, nest_.groups);
      emitTileSwitch(e, channelRuns, channelTile, [&](llvm::Value *channel, const TileRun &run) {
        Item at{run.size, e.add(e.mul(group, nest_.channels), channel), firstInChannel, segment, grad, input};
        at.grad = e.offset(grad, e.mul(segment, blocks * nest_.gradBlock));
        at.grad =
            e.offset(e.offset(at.grad, e.mul(group, nest_.gradGroup)), e.mul(channel, nest_.gradChannel));
        at.input = e.offset(input, e.mul(segment, blocks * nest_.inBlock));
        at.input = e.offset(at.input, e.mul(group, nest_.inGroup));
        if (nest_.steps() == 1)
          inRegisters(at);
        else
          inSteps(at);
      });
    });
  }

private:
  struct Item {
    int64_t channels;
    llvm::Value *channel, *firstInChannel, *segment; // channel: the first, of all groups
    llvm::Value *grad, *input;
  };

  // Numbers that a tile's function gets.
  enum Number : uint8_t { kChannel, kInChannel, kSegment };

  /// Calls f for every input channel of an item and every tile of taps.
  void forTiles(const Item &at, const std::function<void(llvm::Value *, const ColumnTile &)> &f) {
    auto channel = [&](llvm::Value *inChannel) {
      for (const ColumnTile &column : columns_)
        f(inChannel, column);
    };
    if (nest_.depthTile == 1)
      return channel(at.firstInChannel);
    llvm::Value *end = e.atMost(e.add(at.firstInChannel, e.i64(nest_.depthTile)), nest_.depth);
    e.loop(at.firstInChannel, end, 1, channel);
  }

  void inRegisters(const Item &at) {
    forTiles(at, [&](llvm::Value *inChannel, const ColumnTile &column) {
      call("whole", at, column, arguments(at, inChannel, column), [&](const TileKernels::Args &inner) {
        const RegisterTileShape shape = tileShape(at, column);
        storeTile(inner, at, column,
                  emitRegisterTile(e, shape, reduction(bands_[0], column), inner.row, inner.column, {},
                                   zeroAccumulators(e, shape)));
      });
    });
  }

  void inSteps(const Item &at) {
    e.clear(e.scratch(), nest_.scratchBytes() / kPixel, 4);
    e.count(nest_.blocks / nest_.segments / nest_.stepBlocks, [&](llvm::Value *step) {
      Item inStep = at;
      inStep.grad = e.offset(at.grad, e.mul(step, nest_.stepBlocks * nest_.gradBlock));
      inStep.input = e.offset(at.input, e.mul(step, nest_.stepBlocks * nest_.inBlock));
      for (size_t b = 0; b < bands_.size(); ++b)
        e.count(bands_[b].count, [&](llvm::Value *i) { accumulate(inStep, b, i); });
    });
    forTiles(at, [&](llvm::Value *inChannel, const ColumnTile &column) {
      call("store", at, column, arguments(at, inChannel, column), [&](const TileKernels::Args &inner) {
        storeTile(inner, at, column, loadPartials(inner.partials, at.channels * column.size));
      });
    });
  }

  void accumulate(Item at, size_t number, llvm::Value *repetition) {
    const Band &band = bands_[number];
    llvm::Value *row = e.add(e.mul(repetition, band.rows), e.i64(band.start));
    at.grad = e.offset(at.grad, e.mul(row, nest_.gradRow));
    at.input = e.offset(at.input, e.mul(row, nest_.height.stride * nest_.inRow));
    forTiles(at, [&](llvm::Value *inChannel, const ColumnTile &column) {
      const TileKernels::Args args = arguments(at, inChannel, column);
      call(fmt::format("add{}", number), at, column, args, [&](const TileKernels::Args &inner) {
        const RegisterTileShape shape = tileShape(at, column);
        const Values result = emitRegisterTile(e, shape, reduction(band, column), inner.row, inner.column, {},
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

  TileKernels::Args arguments(const Item &at, llvm::Value *inChannel, const ColumnTile &column) {
    TileKernels::Args args{.row = at.grad,
                           .column = e.offset(at.input, e.mul(inChannel, nest_.inDepth)),
                           .buffers = e.argument(1),
                           .numbers = {at.channel, inChannel, at.segment},
                           .partials = nullptr};
    if (nest_.scratchBytes()) {
      llvm::Value *tile = e.mul(e.b.CreateSub(inChannel, at.firstInChannel), std::ssize(columns_));
      args.partials = e.offset(e.scratch(), e.mul(e.add(tile, e.i64(column.number)), nest_.partialBytes()));
    }
    return args;
  }

  void call(std::string_view what, const Item &at, const ColumnTile &column, const TileKernels::Args &args,
            const TileKernels::Body &body) {
    tiles_.call(fmt::format("{}.{}x{}.{}", what, at.channels, column.size, column.start), args, body);
  }

  RegisterTileShape tileShape(const Item &at, const ColumnTile &column) const {
    const ConvWeightAxis &h = nest_.height, &w = nest_.width;
    RegisterTileShape shape;
    shape.broadcastRows = false;
    for (int64_t i = 0; i < at.channels; ++i)
      shape.rowOffsets.push_back(i * nest_.gradChannel);
    for (int64_t tap = column.start; tap < column.start + column.size; ++tap)
      shape.columnOffsets.push_back((tap / w.taps * h.dilation - h.padding) * nest_.inRow +
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
          row.parts.push_back({w.start * kPixel, w.start * inPixel, mask,
                               Reduction::loop(w.count, kPixel, inPixel, Reduction::step())});
      if (!row.parts.empty())
        rows.push_back({h.start * nest_.gradRow, h.start * inRow, ~0u, std::move(row)});
    }
    Reduction blocks = Reduction::loop(nest_.stepBlocks, nest_.gradBlock, nest_.inBlock, Reduction::step());
    blocks.parts = std::move(rows);
    return blocks;
  }

  void storeTile(const TileKernels::Args &args, const Item &at, const ColumnTile &column,
                 const Values &accumulators) {
    LaneMath math(e);
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < at.channels; ++i) {
      const auto first = accumulators.begin() + i * column.size;
      LaneIndex index;
      if (nest_.segments > 1)
        index.groups.push_back({1, math.uniform(args.numbers[kSegment])});
      index.groups.push_back({1, math.uniform(e.add(args.numbers[kChannel], e.i64(i)))});
      index.groups.push_back({1, math.uniform(args.numbers[kInChannel])});
      index.groups.push_back({2, math.consecutive(e.i64(column.start))}); // both dimensions of the kernel
      index.mask = e.laneMask(static_cast<int>(column.size));
      tile.push_back({emitLaneSums(e, Values(first, first + column.size)), index});
    }
    tiles_.store.store(tile);
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvTapsNest &nest_;
  const std::vector<Band> bands_;
  const std::vector<ColumnTile> columns_;
};

} // namespace

int64_t ConvTapsNest::items() const {
  return segments * groups * countTiles(balancedTiles(channels, tile.rows)) * ceilDiv(depth, depthTile);
}

int64_t ConvTapsNest::steps() const {
  return blocks / segments / stepBlocks * ceilDiv(height.gradSize, stepRows);
}

int64_t ConvTapsNest::scratchBytes() const {
  return steps() == 1 ? 0 : depthTile * countTiles(balancedTiles(taps(), tile.vectors)) * partialBytes();
}

namespace {

/// As many input channels as three eighths of the cache hold of a step, as long as there are items for many threads.
void chooseDepth(ConvTapsNest &nest, int64_t l2Bytes) {
  constexpr int64_t kEnoughItems = 32;
  const int64_t planes = nest.stepBlocks * nest.height.inSize * nest.width.inSize * kPixel;
  nest.depthTile = 1;
  while (nest.depthTile < nest.depth && (nest.depthTile + 1) * planes <= l2Bytes * 3 / 8) {
    ++nest.depthTile;
    if (nest.items() < kEnoughItems) {
      --nest.depthTile;
      break;
    }
  }
}

} // namespace

void blockForCache(ConvTapsNest &nest, int64_t l2Bytes) {
  // The gradient of a tile stays in one part of the cache, the input channels of an item in another.
  const int64_t gradRow = nest.tile.rows * nest.width.gradSize * kPixel, blocks = nest.blocks / nest.segments;
  nest.stepRows = std::clamp<int64_t>(l2Bytes / 2 / gradRow, 1, nest.height.gradSize);
  nest.stepBlocks = nest.stepRows * blocks * gradRow <= l2Bytes / 2 ? blocks : 1;
  chooseDepth(nest, l2Bytes);
  // The gradient comes from beyond the cache for each item: it must be of use for enough input channels.
  constexpr int64_t kEnoughDepth = 8;
  if (nest.depthTile < std::min(nest.depth, kEnoughDepth) && nest.stepBlocks > 1) {
    nest.stepBlocks = 1;
    chooseDepth(nest, l2Bytes);
  }
}

void emitNest(TileKernels &tiles, const ConvTapsNest &nest, llvm::Value *grad, llvm::Value *input) {
  ConvTapsEmitter(tiles, nest).emit(grad, input);
}

} // namespace gradc
