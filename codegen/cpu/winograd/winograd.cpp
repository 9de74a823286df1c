// The steps of a convolution by Winograd's algorithm: see codegen/cpu/winograd/winograd_nest.h.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/transpose.h"
#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kVector = kVectorLanes * kFloat;
/// Channels of the operand that an item of the first step transforms at most, each with a panel of the result's.
constexpr int64_t kDepthChunk = 16;

/// The first step.
class WeightsEmitter {
public:
  WeightsEmitter(TileKernels &tiles, const WinogradNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  int64_t items() const { return countTiles(nest_.panelRuns()) * chunks(); }

  void emit(llvm::Value *weights, llvm::Value *target) {
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *low = e.mul(e.mod(item, chunks()), chunk());
      llvm::Value *high = e.atMost(e.add(low, e.i64(chunk())), nest_.depth);
      emitTileSwitch(e, nest_.panelRuns(), e.div(item, chunks()),
                     [&](llvm::Value *channel, const TileRun &run) {
                       const TileKernels::Args args{e.offset(weights, e.mul(channel, nest_.weightChannel)),
                                                    e.offset(target, e.mul(channel, nest_.depth * kFloat)),
                                                    e.argument(1),
                                                    {low, high}};
                       tiles_.call(fmt::format("weights{}", run.size), args,
                                   [&](const TileKernels::Args &inner) { body(inner, run.size); });
                     });
    });
  }

private:
  /// U has the channels of a panel side by side, and then those of the next channel of the operand: the lanes are as many
  /// whole panels as they hold.
  static int64_t depthsOfVector(int64_t rows) { return kVectorLanes / rows; }
  int64_t chunk() const { return kDepthChunk - kDepthChunk % depthsOfVector(nest_.tile.rows); }
  int64_t chunks() const { return ceilDiv(nest_.depth, chunk()); }

  void body(const TileKernels::Args &args, int64_t rows) {
    const int64_t step = depthsOfVector(rows);
    llvm::Value *low = args.numbers[0], *count = e.b.CreateSub(args.numbers[1], low);
    llvm::Value *whole = e.add(low, e.b.CreateSub(count, e.mod(count, step)));
    e.loop(low, whole, step, [&](llvm::Value *depth) { transform(args, depth, rows, step); });
    const int64_t lastChunk = nest_.depth - (chunks() - 1) * chunk();
    for (int64_t rest = 1; rest < step; ++rest)
      if (chunk() % step == rest || lastChunk % step == rest)
        emitIf(
            e, e.b.CreateICmpEQ(e.mod(count, step), e.i64(rest)), [&] { transform(args, whole, rows, rest); },
            [] {});
  }

  void transform(const TileKernels::Args &args, llvm::Value *depth, int64_t rows, int64_t depths) {
    const Winograd &w = nest_.algorithm;
    const int lanes = static_cast<int>(rows * depths);
    const Values taps = loadTaps(e.offset(args.row, e.mul(depth, nest_.weightDepth)), rows, depths);
    llvm::Value *target = e.offset(args.column, e.mul(depth, rows * kFloat));
    winogradWeights(
        e, w,
        [&](int row, int column) {
          const int64_t at = w.kernel * row + column;
          return taps[static_cast<size_t>(nest_.turned ? w.taps() - 1 - at : at)];
        },
        [&](int row, int column, llvm::Value *value) {
          llvm::Value *address = e.offset(target, w.pointOf(row, column) * nest_.weightPlane());
          e.b.CreateMaskedStore(value, address, llvm::Align(4), e.laneMask(lanes));
        });
  }

  /// A vector for each tap of the kernels that begin at `kernel`: each is read in one piece.
  Values loadTaps(llvm::Value *kernel, int64_t rows, int64_t depths) {
    llvm::Type *vector = e.vectorType(DType::F32);
    Values taps;
    for (int64_t first = 0; first < nest_.algorithm.taps(); first += kVectorLanes) {
      const int64_t count = std::min<int64_t>(kVectorLanes, nest_.algorithm.taps() - first);
      Values kernels(kVectorLanes, llvm::Constant::getNullValue(vector));
      for (int64_t i = 0; i < rows * depths; ++i) {
        const int64_t place = i / rows * nest_.weightDepth + i % rows * nest_.weightChannel;
        kernels[static_cast<size_t>(i)] =
            e.b.CreateMaskedLoad(vector, e.offset(kernel, place + first * kFloat), llvm::Align(4),
                                 e.laneMask(static_cast<int>(count)), llvm::Constant::getNullValue(vector));
      }
      transpose16(e, kernels);
      taps.insert(taps.end(), kernels.begin(), kernels.begin() + count);
    }
    return taps;
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradNest &nest_;
};

/// The second step.
class TilesEmitter {
public:
  TilesEmitter(TileKernels &tiles, const WinogradNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), runs_(nest.panelRuns()) {}

  int64_t scratchBytes() const {
    return nest_.algorithm.points() * (nest_.operandPlane() + nest_.productPlane() + kVector);
  }

  void emit(llvm::Value *weights, llvm::Value *operand) {
    weights_ = weights;
    transformed_ = e.scratch();
    products_ = e.offset(transformed_, nest_.algorithm.points() * nest_.operandPlane());
    llvm::Value *patch = e.offset(products_, nest_.algorithm.points() * nest_.productPlane());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *part = e.mod(item, nest_.parts());
      Item at{.first = e.mul(e.div(item, nest_.parts()), nest_.columns),
              .firstPanel = e.mul(part, nest_.panels)};
      at.end = e.atMost(e.add(at.first, e.i64(nest_.columns)), nest_.tiles());
      at.endPanel = e.atMost(e.add(at.firstPanel, e.i64(nest_.panels)), countTiles(runs_));
      auto transform = [&] {
        emitWinogradOperand(tiles_, nest_, operand, transformed_, patch, at.first, at.end);
      };
      if (nest_.parts() == 1)
        transform();
      else // the parts of one group follow each other, and share V where one worker has them
        emitIf(e, e.b.CreateOr(e.b.CreateICmpEQ(part, e.i64(0)), e.b.CreateICmpEQ(item, e.itemBegin())),
               transform, [] {});
      multiply(at);
      storeResults(at);
    });
  }

private:
  struct Item {
    llvm::Value *first = nullptr, *end = nullptr; // tiles
    llvm::Value *firstPanel = nullptr, *endPanel = nullptr;
  };
  using OnPanel = std::function<void(llvm::Value *slot, llvm::Value *channel, int64_t rows)>;

  /// f(number within the item, first channel, channels)
  void forPanels(const Item &at, const OnPanel &f) {
    e.loop(at.firstPanel, at.endPanel, 1, [&](llvm::Value *panel) {
      emitTileSwitch(e, runs_, panel, [&](llvm::Value *channel, const TileRun &run) {
        f(e.b.CreateSub(panel, at.firstPanel), channel, run.size);
      });
    });
  }

  llvm::Value *product(llvm::Value *plane, llvm::Value *slot, llvm::Value *column) {
    const int64_t panel = nest_.tile.rows * nest_.columns * kVector;
    return e.offset(plane, e.add(e.mul(slot, panel), e.mul(column, kVector)));
  }

  /// M of an item, point by point, so that a plane of V stays near. A panel of U meets all columns.
  void multiply(const Item &at) {
    const int64_t width = nest_.tile.vectors;
    llvm::Value *count = e.b.CreateSub(at.end, at.first), *whole = e.b.CreateSub(count, e.mod(count, width));
    e.count(nest_.algorithm.points(), [&](llvm::Value *point) {
      llvm::Value *u = e.offset(weights_, e.mul(point, nest_.weightPlane()));
      llvm::Value *v = e.offset(transformed_, e.mul(point, nest_.operandPlane()));
      llvm::Value *m = e.offset(products_, e.mul(point, nest_.productPlane()));
      forPanels(at, [&](llvm::Value *slot, llvm::Value *channel, int64_t rows) {
        auto tile = [&](llvm::Value *column, int64_t columns) {
          const TileKernels::Args args{e.offset(u, e.mul(channel, nest_.depth * kFloat)),
                                       e.offset(v, winogradColumn(e, nest_, column)),
                                       e.argument(1),
                                       {},
                                       product(m, slot, column)};
          tiles_.call(fmt::format("{}x{}", rows, columns), args,
                      [&](const TileKernels::Args &inner) { tileBody(inner, rows, columns); });
        };
        e.loop(e.i64(0), whole, width, [&](llvm::Value *column) { tile(column, width); });
        if (const int64_t rest = nest_.tiles() % width) // only in the last group
          emitIf(
              e, e.b.CreateICmpNE(whole, count), [&] { tile(whole, rest); }, [] {});
      });
    });
  }

  void tileBody(const TileKernels::Args &args, int64_t rows, int64_t columns) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < rows; ++i)
      shape.rowOffsets.push_back(i * kFloat);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * kVector);
    const Reduction depth =
        Reduction::loop(nest_.depth, rows * kFloat, nest_.tile.vectors * kVector, Reduction::step());
    const Values sums =
        emitRegisterTile(e, shape, depth, args.row, args.column, {}, zeroAccumulators(e, shape));
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        e.b.CreateAlignedStore(sums[i * columns + j],
                               e.offset(args.partials, (i * nest_.columns + j) * kVector), llvm::Align(64));
  }

  void storeResults(const Item &at) {
    e.loop(at.first, at.end, 1, [&](llvm::Value *tile) {
      const WinogradPlace place = winogradPlace(e, nest_, tile);
      forPanels(at, [&](llvm::Value *slot, llvm::Value *channel, int64_t rows) {
        const TileKernels::Args args{product(products_, slot, e.b.CreateSub(tile, at.first)),
                                     products_,
                                     e.argument(1),
                                     {place.block, channel, place.row, place.column, e.i64(rows)}};
        withSize(place.row, nest_.outHeight, nest_.algorithm.tile, [&](int64_t height) {
          withSize(place.column, nest_.outWidth, nest_.algorithm.width, [&](int64_t width) {
            tiles_.call(fmt::format("results{}x{}", height, width), args,
                        [&](const TileKernels::Args &inner) { resultsBody(inner, height, width); });
          });
        });
      });
    });
  }

  /// f(how many results of a tile exist along a dimension), with a branch for the last tile.
  void withSize(llvm::Value *start, int64_t size, int64_t tile, const std::function<void(int64_t)> &f) {
    const int64_t rest = size % tile;
    if (rest == 0 || size < tile)
      return f(std::min(size, tile));
    emitIf(
        e, e.b.CreateICmpSLT(start, e.i64(size - rest)), [&] { f(tile); }, [&] { f(rest); });
  }

  /// The channels of a panel, one after the other.
  void resultsBody(const TileKernels::Args &args, int64_t height, int64_t width) {
    e.loop(
        e.i64(0), args.numbers[4], 1, {args.row},
        [&](llvm::Value *i, const Values &at) {
          std::vector<TileVector> tile;
          winogradResult(
              e, nest_.algorithm,
              [&](int row, int column) -> llvm::Value * {
                llvm::Value *address =
                    e.offset(at[0], nest_.algorithm.pointOf(row, column) * nest_.productPlane());
                return e.b.CreateAlignedLoad(e.vectorType(DType::F32), address, llvm::Align(64));
              },
              [&](int row, int column, llvm::Value *lanes) {
                if (row < height && column < width)
                  tile.push_back({lanes, indexOf(args, i, row, column)});
              });
          tiles_.store.store(tile);
          return Values{e.offset(at[0], nest_.columns * kVector)};
        },
        false);
  }

  LaneIndex indexOf(const TileKernels::Args &args, llvm::Value *channel, int row, int column) {
    LaneMath math(e);
    return LaneIndex::of({math.consecutive(e.mul(args.numbers[0], kVectorLanes), kVectorLanes),
                          math.uniform(e.add(args.numbers[1], channel)),
                          math.uniform(e.add(args.numbers[2], e.i64(row))),
                          math.uniform(e.add(args.numbers[3], e.i64(column)))});
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradNest &nest_;
  std::vector<TileRun> runs_; // of panels
  llvm::Value *weights_ = nullptr, *transformed_ = nullptr, *products_ = nullptr;
};

/// Seconds at 100 billion operations a second.
double seconds(int64_t operations) { return 1e-11 * static_cast<double>(operations); }

} // namespace

KernelCode emitWinograd(KernelContext &k, TileStore &store, const WinogradNest &nest, int weights,
                        int operand) {
  Emit &e = k.e;
  TileKernels tiles(e, store, k.symbol);
  WeightsEmitter first(tiles, nest);
  const int64_t pairs = nest.channels * nest.depth;
  const KernelStep transform{.symbol = k.symbol + ".weights",
                             .items = first.items(),
                             .work = seconds(2 * nest.algorithm.points() * pairs)};
  e.beginKernel(transform.symbol);
  first.emit(e.buffer(weights), e.buffer(k.workspaceBuffer()));
  e.endFunction();

  TilesEmitter second(tiles, nest);
  const KernelStep multiply{.symbol = k.symbol,
                            .items = nest.groups() * nest.parts(),
                            .scratchBytes = second.scratchBytes(),
                            .work =
                                seconds(2 * kVectorLanes * nest.algorithm.points() * nest.tiles() * pairs)};
  e.beginKernel(multiply.symbol);
  second.emit(e.buffer(k.workspaceBuffer()), e.buffer(operand));
  e.endFunction();
  return {{transform, multiply}, nest.algorithm.points() * nest.weightPlane()};
}

} // namespace gradc
