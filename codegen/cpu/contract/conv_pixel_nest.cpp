#include "codegen/cpu/contract/conv_pixel_nest.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr int64_t kPixel = 4;
constexpr int64_t kFewDepths = 2; // up to here a loop over kernel columns costs more than its code

/// How a plane (one phase of it in each dimension) is cut into vectors: `lines` × `columns` of them.
struct Plane {
  const ConvPhase &height, &width;
  int64_t heightSize, widthSize; // of the operand
  bool flat = false;             // a vector is any 16 pixels in a row-major plane; else neighbours in one row
  int64_t lines = 1, columns = 1;
  int64_t lineStride = 0, columnStride = 0; // bytes of the operand

  Plane(const ConvPixelNest &nest, const ConvPhase &height, const ConvPhase &width)
      : height(height), width(width), heightSize(nest.height.inSize), widthSize(nest.width.inSize) {
    const int64_t perRow = ceilDiv(width.count, kVectorLanes);
    flat = height.outStep == 1 && width.outStep == 1 && height.inPerOut == 1 && width.inPerOut == 1 &&
           width.count == widthSize;
    if (flat) {
      columns = ceilDiv(pixels(), kVectorLanes);
      columnStride = kVectorLanes * kPixel;
    } else if (perRow == 1) { // a column is a row
      columns = height.count;
      columnStride = height.inPerOut * nest.inRow;
    } else {
      lines = height.count;
      columns = perRow;
      lineStride = height.inPerOut * nest.inRow;
      columnStride = kVectorLanes * width.inPerOut * kPixel;
    }
  }

  int64_t pixels() const { return height.count * width.count; }
  bool columnsAreRows() const { return !flat && lines == 1 && width.count <= kVectorLanes; }
  /// Lanes of the last column that are pixels; of every column where columns are rows.
  int lastLanes() const {
    const int64_t rest = (flat ? pixels() : width.count) % kVectorLanes;
    return static_cast<int>(rest ? rest : kVectorLanes);
  }

  /// Bit j: lane j of a vector is a pixel that has the tap.
  uint16_t lanesWith(int64_t line, int64_t column, int64_t tapRow, int64_t tapColumn) const {
    uint16_t lanes = 0;
    for (int64_t lane = 0; lane < kVectorLanes; ++lane) {
      const int64_t position = (columnsAreRows() ? 0 : column * kVectorLanes) + lane;
      const int64_t row = flat ? position / width.count : columnsAreRows() ? column : line;
      const int64_t pixel = flat ? position % width.count : position;
      const bool exists = row < height.count && pixel < width.count &&
                          height.exists(row, tapRow, heightSize) && width.exists(pixel, tapColumn, widthSize);
      lanes |= static_cast<uint16_t>(exists << lane);
    }
    return lanes;
  }

  /// True where some pixel lacks some tap.
  bool hasBorder() const {
    auto leaves = [](const ConvPhase &phase, int64_t size) {
      for (int64_t o : {int64_t{0}, phase.count - 1})
        for (int64_t t : {int64_t{0}, phase.taps - 1})
          if (!phase.exists(o, t, size))
            return true;
      return false;
    };
    return leaves(height, heightSize) || leaves(width, widthSize);
  }
};

std::vector<Plane> planesOf(const ConvPixelNest &nest) {
  std::vector<Plane> planes;
  for (const ConvPhase &height : nest.height.phases)
    for (const ConvPhase &width : nest.width.phases)
      planes.emplace_back(nest, height, width);
  return planes;
}

/// The tiles of a line; one with lanes that do not exist is code of its own.
std::vector<TileRun> columnRuns(const Plane &plane, int64_t maxColumns) {
  std::vector<TileRun> runs = balancedTiles(plane.columns, maxColumns);
  if (plane.lastLanes() != kVectorLanes && !plane.columnsAreRows() && runs.back().count > 1) {
    TileRun last = runs.back();
    runs.back().count -= 1;
    last.start = runs.back().end();
    last.count = 1;
    runs.push_back(last);
  }
  return runs;
}

class ConvPixelEmitter {
public:
  ConvPixelEmitter(TileKernels &tiles, const ConvPixelNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), planes_(planesOf(nest)) {}

  void emit(llvm::Value *weights, llvm::Value *input) {
    const std::vector<TileRun> channelRuns = balancedTiles(nest_.channels, nest_.tile.rows);
    std::vector<TileRun> planeRuns; // tiles, plane by plane
    for (const Plane &plane : planes_) {
      planeRuns.push_back({0, 1, plane.lines * countTiles(columnRuns(plane, nest_.tile.vectors))});
      tables_.push_back(plane.hasBorder() ? makeTable(plane) : nullptr);
    }
    // From the innermost out: tiles of the planes, example, channels, group. So a thread keeps its weights.
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t tiles = countTiles(planeRuns), channelTiles = countTiles(channelRuns);
      llvm::Value *rest = e.div(item, tiles);
      llvm::Value *example = e.mod(rest, nest_.examples);
      rest = e.div(rest, nest_.examples);
      llvm::Value *group = e.div(rest, channelTiles);
      Place at{example, group, nullptr, e.offset(weights, e.mul(group, nest_.weightGroup)), nullptr};
      at.input = e.offset(e.offset(input, e.mul(example, nest_.inImage)), e.mul(group, nest_.inGroup));
      emitTileSwitch(
          e, channelRuns, e.mod(rest, channelTiles), [&](llvm::Value *channel, const TileRun &channels) {
            at.channel = channel;
            size_t plane = 0;
            emitTileSwitch(e, planeRuns, e.mod(item, tiles), [&](llvm::Value *tile, const TileRun &) {
              planeTile(at, channels.size, plane++, tile);
            });
          });
    });
  }

private:
  struct Place {
    llvm::Value *example, *group, *channel; // channel: the first, within the group
    llvm::Value *weights, *input;           // of the group
  };
  // Numbers that a tile's function gets.
  enum Number : uint8_t { kExample, kChannel, kLine, kColumn };

  /// u16 [tap row][tap column][line][column].
  llvm::Value *makeTable(const Plane &plane) {
    std::vector<uint16_t> masks;
    for (int64_t t = 0; t < plane.height.taps; ++t)
      for (int64_t u = 0; u < plane.width.taps; ++u)
        for (int64_t line = 0; line < plane.lines; ++line)
          for (int64_t column = 0; column < plane.columns; ++column)
            masks.push_back(plane.lanesWith(line, column, t, u));
    llvm::Constant *data = llvm::ConstantDataArray::get(e.module.getContext(), masks);
    auto *table = new llvm::GlobalVariable(e.module, data->getType(), true, llvm::GlobalValue::PrivateLinkage,
                                           data, "taps");
    table->setAlignment(llvm::Align(2));
    return table;
  }

  void planeTile(const Place &at, int64_t channels, size_t number, llvm::Value *tile) {
    const Plane &plane = planes_[number];
    const std::vector<TileRun> runs = columnRuns(plane, nest_.tile.vectors);
    llvm::Value *line = e.div(tile, countTiles(runs));
    emitTileSwitch(e, runs, e.mod(tile, countTiles(runs)), [&](llvm::Value *column, const TileRun &run) {
      TileKernels::Args args{
          .row = e.offset(at.weights, e.add(e.mul(at.channel, nest_.weightChannel), e.i64(firstTap(plane)))),
          .column = e.offset(at.input, firstPixel(plane)),
          .buffers = e.argument(1),
          .numbers = {at.example, e.add(e.mul(at.group, nest_.channels), at.channel), line, column},
          .partials = nullptr};
      args.column =
          e.offset(args.column, e.add(e.mul(line, plane.lineStride), e.mul(column, plane.columnStride)));
      const bool last = run.end() == plane.columns;
      tiles_.call(fmt::format("{}x{}.{}{}", channels, run.size, number, last ? "m" : ""), args,
                  [&](const TileKernels::Args &inner) { tileBody(inner, number, channels, run.size, last); });
    });
  }

  int64_t firstTap(const Plane &plane) const {
    return plane.height.tapStart * nest_.weightRow + plane.width.tapStart * nest_.weightColumn;
  }
  int64_t firstPixel(const Plane &plane) const {
    return plane.height.inStart * nest_.inRow + plane.width.inStart * kPixel;
  }

  void tileBody(const TileKernels::Args &args, size_t number, int64_t channels, int64_t columns, bool last) {
    const Plane &plane = planes_[number];
    RegisterTileShape shape;
    for (int64_t i = 0; i < channels; ++i)
      shape.rowOffsets.push_back(i * nest_.weightChannel);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * plane.columnStride);
    shape.laneStep = plane.width.inPerOut * kPixel;
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < channels; ++i)
      for (int64_t j = 0; j < columns; ++j)
        tile.push_back({nullptr, indexOf(plane, args, i, j, lanesOf(plane, last && j + 1 == columns))});
    tiles_.store.prefetch(tile);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnMasks.push_back(tile[j].at.mask);
    const Values sums = overTaps(args, number, shape);
    for (size_t i = 0; i < tile.size(); ++i)
      tile[i].lanes = sums[i];
    tiles_.store.store(tile);
  }

  static int lanesOf(const Plane &plane, bool last) {
    return last || plane.columnsAreRows() ? plane.lastLanes() : kVectorLanes;
  }

  /// Kernel rows, kernel columns, channels of the operand.
  Values overTaps(const TileKernels::Args &args, size_t number, RegisterTileShape &shape) {
    const Plane &plane = planes_[number];
    const Values zero = zeroAccumulators(e, shape);
    if (plane.height.taps == 0 || plane.width.taps == 0)
      return zero;
    auto tap = [&](llvm::Value *t, llvm::Value *u, const Values &sums) {
      shape.absentTerms = tables_[number] != nullptr;
      if (shape.absentTerms)
        shape.columnMasks = masksOf(args, number, t, u, shape.columns());
      llvm::Value *row = e.offset(args.row, e.add(e.mul(t, plane.height.tapStep * nest_.weightRow),
                                                  e.mul(u, plane.width.tapStep * nest_.weightColumn)));
      llvm::Value *column = e.offset(args.column, e.add(e.mul(t, plane.height.inPerTap * nest_.inRow),
                                                        e.mul(u, plane.width.inPerTap * kPixel)));
      return emitRegisterTile(
          e, shape, Reduction::loop(nest_.depth, nest_.weightDepth, nest_.inDepth, Reduction::step()), row,
          column, {}, sums);
    };
    return e.count(plane.height.taps, zero, [&](llvm::Value *t, const Values &outer) {
      if (nest_.depth > kFewDepths)
        return e.count(plane.width.taps, outer,
                       [&](llvm::Value *u, const Values &sums) { return tap(t, u, sums); });
      Values sums = outer;
      for (int64_t u = 0; u < plane.width.taps; ++u)
        sums = tap(t, e.i64(u), sums);
      return sums;
    });
  }

  /// Which lanes of the tile's columns have tap (t, u).
  Values masksOf(const TileKernels::Args &args, size_t number, llvm::Value *t, llvm::Value *u, int columns) {
    const Plane &plane = planes_[number];
    const int64_t perTap = plane.lines * plane.columns;
    llvm::Value *entry = e.add(e.mul(e.add(e.mul(t, plane.width.taps), u), perTap),
                               e.add(e.mul(args.numbers[kLine], plane.columns), args.numbers[kColumn]));
    llvm::Value *address = e.offset(tables_[number], e.mul(entry, 2));
    Values masks;
    for (int j = 0; j < columns; ++j)
      masks.push_back(e.b.CreateBitCast(
          e.b.CreateAlignedLoad(e.b.getInt16Ty(), e.offset(address, 2 * j), llvm::Align(2)), e.maskType()));
    return masks;
  }

  LaneIndex indexOf(const Plane &plane, const TileKernels::Args &args, int64_t i, int64_t j, int lanes) {
    LaneMath math(e);
    LaneIndex index;
    index.groups.push_back({1, math.uniform(args.numbers[kExample])});
    index.groups.push_back({1, math.uniform(e.add(args.numbers[kChannel], e.i64(i)))});
    llvm::Value *column = e.add(args.numbers[kColumn], e.i64(j));
    if (plane.flat) {
      index.groups.push_back({2, math.consecutive(e.mul(column, kVectorLanes), kVectorLanes)});
    } else {
      const bool rows = plane.columnsAreRows();
      const LaneValue row = math.uniform(rows ? column : args.numbers[kLine]);
      const LaneValue pixel = math.consecutive(rows ? e.i64(0) : e.mul(column, kVectorLanes), kVectorLanes);
      index.groups.push_back({1, math.add(math.mul(row, plane.height.outStep), plane.height.outStart)});
      index.groups.push_back({1, math.add(math.mul(pixel, plane.width.outStep), plane.width.outStart)});
    }
    index.mask = lanes == kVectorLanes ? nullptr : e.laneMask(lanes);
    return index;
  }

  TileKernels &tiles_;
  Emit &e;
  const ConvPixelNest &nest_;
  const std::vector<Plane> planes_;
  Values tables_; // by plane: null without a border
};

} // namespace

int64_t ConvPixelNest::items() const {
  int64_t tiles = 0;
  for (const Plane &plane : planesOf(*this))
    tiles += plane.lines * countTiles(columnRuns(plane, tile.vectors));
  return tiles * examples * groups * countTiles(balancedTiles(channels, tile.rows));
}

void emitNest(TileKernels &tiles, const ConvPixelNest &nest, llvm::Value *weights, llvm::Value *input) {
  ConvPixelEmitter(tiles, nest).emit(weights, input);
}

} // namespace gradc
