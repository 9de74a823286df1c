// The steps of a convolution by Winograd's algorithm: see codegen/cpu/winograd/winograd_nest.h.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/register_tile.h"
#include "codegen/cpu/winograd/winograd_fetch.h"
#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_transform.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kVector = kVectorLanes * kFloat;
/// Channels of the operand that an item of the images' step transforms.
constexpr int64_t kImageChannels = 16;

/// U, V, M and the results.
class TilesEmitter {
public:
  TilesEmitter(TileKernels &tiles, const WinogradNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), fetch_(e, tiles.store, nest), farFetch_(e, nest),
        runs_(nest.panelRuns()) {}

  int64_t points() const { return nest_.algorithm.points(); }
  int64_t weightBytes() const { return points() * nest_.weightPlane(); }
  int64_t operandBytes() const { return points() * nest_.operandPlane(); }
  int64_t productBytes() const { return points() * nest_.productPlane(); }
  int64_t patchBytes() const { return points() * kVector; } // what emitWinogradOperand needs

  /// U of all: an item is a panel and a few channels of the operand.
  void emitWeights(llvm::Value *weights, llvm::Value *workspace) {
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *panel = e.div(item, chunks()), *low = e.mul(e.mod(item, chunks()), nest_.chunk);
      emitTileSwitch(e, runs_, panel, [&](llvm::Value *channel, const TileRun &run) {
        llvm::Value *target = e.offset(workspace, e.mul(panel, nest_.weightPanel()));
        target = e.offset(target, e.mul(low, run.size * kFloat));
        emitWinogradFilters(tiles_, nest_, run.size, {weights, target, channel, low, endOfChunk(low)});
      });
    });
  }
  int64_t weightItems() const { return countTiles(runs_) * chunks(); }

  /// Items of one group's tiles and a part's channels, with V and M in scratch memory.
  void emitItems(llvm::Value *weights, llvm::Value *operand) {
    weights_ = weights;
    transformed_ = e.scratch();
    products_ = e.offset(transformed_, operandBytes());
    llvm::Value *patch = e.offset(products_, productBytes());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const Item at = itemOf(item);
      next_ = fetch_.patches(operand, e.add(at.first, e.i64(nest_.columns)));
      auto transform = [&] {
        emitWinogradOperand(tiles_, nest_,
                            {.images = operand,
                             .target = transformed_,
                             .patch = patch,
                             .first = at.first,
                             .end = at.end,
                             .firstChannel = e.i64(0),
                             .endChannel = e.i64(nest_.depth)});
      };
      if (nest_.parts() == 1)
        transform();
      else // the parts of one group follow each other, and share V where one worker has them
        emitIf(e, e.b.CreateOr(e.b.CreateICmpEQ(at.part, e.i64(0)), e.b.CreateICmpEQ(item, e.itemBegin())),
               transform, [] {});
      const Depths all{e.i64(0), e.i64(nest_.depth), false};
      e.count(points(), [&](llvm::Value *point) { multiply(at, point, all); });
      storeResults(at);
    });
  }

  /// V of all tiles: an item is a few channels of the operand.
  void emitImages(llvm::Value *workspace, llvm::Value *operand, llvm::Value *weights) {
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *channel = e.mul(item, kImageChannels);
      if (nest_.turned)
        readWeights(weights, channel);
      emitWinogradOperand(tiles_, nest_,
                          {.images = operand,
                           .target = workspace,
                           .patch = e.scratch(),
                           .first = e.i64(0),
                           .end = e.i64(nest_.tiles()),
                           .firstChannel = channel,
                           .endChannel = e.atMost(e.add(channel, e.i64(kImageChannels)), nest_.depth)});
    });
  }

  /// The same items, with U and M in scratch memory. The parts of one group follow each other.
  void emitFarItems(llvm::Value *workspace, llvm::Value *weights) {
    weights_ = e.scratch();
    transformed_ = workspace;
    products_ = e.offset(weights_, weightBytes());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const Item at = itemOf(item);
      auto chunk = [&](llvm::Value *low, bool add) {
        llvm::Value *high = endOfChunk(low);
        forPanels(at, [&](const Panel &panel) {
          llvm::Value *target = e.offset(weights_, e.mul(panel.slot, nest_.weightPanel()));
          emitWinogradFilters(tiles_, nest_, panel.rows, {weights, target, panel.channel, low, high});
        });
        e.count(points(), [&](llvm::Value *point) { multiply(at, point, {low, high, add}); });
      };
      chunk(e.i64(0), false);
      if (nest_.chunk < nest_.depth)
        e.loop(e.i64(nest_.chunk), e.i64(nest_.depth), nest_.chunk,
               [&](llvm::Value *low) { chunk(low, true); });
      storeResults(at);
    });
  }

private:
  struct Item {
    llvm::Value *first, *end; // tiles
    llvm::Value *part, *firstPanel, *endPanel;
  };
  struct Depths {
    llvm::Value *low, *high;
    bool add;
  };
  Item itemOf(llvm::Value *item) {
    llvm::Value *first = e.mul(e.div(item, nest_.parts()), nest_.columns), *part = e.mod(item, nest_.parts());
    llvm::Value *firstPanel = e.mul(part, nest_.panels);
    return {first, e.atMost(e.add(first, e.i64(nest_.columns)), nest_.tiles()), part, firstPanel,
            e.atMost(e.add(firstPanel, e.i64(nest_.panels)), countTiles(runs_))};
  }

  int64_t chunks() const { return ceilDiv(nest_.depth, nest_.chunk); }
  llvm::Value *endOfChunk(llvm::Value *low) { return e.atMost(e.add(low, e.i64(nest_.chunk)), nest_.depth); }

  /// A gradient's kernels of a panel are pieces far apart. Read in order before, they come from L3, and at half the time in
  /// all. Loads, as prefetches are dropped where many wait.
  void readWeights(llvm::Value *weights, llvm::Value *channel) {
    llvm::Value *kernels = e.offset(weights, e.mul(channel, nest_.weightDepth));
    llvm::Value *bytes = e.mul(e.b.CreateSub(e.i64(nest_.depth), channel), nest_.weightDepth);
    e.loop(e.i64(0), e.atMost(bytes, kImageChannels * nest_.weightDepth), kCacheLine, [&](llvm::Value *at) {
      e.b.CreateLoad(e.b.getInt32Ty(), e.offset(kernels, at), /*isVolatile=*/true);
    });
  }

  struct Panel {
    llvm::Value *number, *slot, *channel; // slot: number within the item
    int64_t rows;
  };
  using OnPanel = std::function<void(const Panel &)>;

  void forPanels(const Item &at, const OnPanel &f) {
    e.loop(at.firstPanel, at.endPanel, 1, [&](llvm::Value *panel) {
      llvm::Value *slot = e.b.CreateSub(panel, at.firstPanel);
      emitTileSwitch(e, runs_, panel, [&](llvm::Value *channel, const TileRun &run) {
        f({panel, slot, channel, run.size});
      });
    });
  }

  llvm::Value *product(llvm::Value *plane, llvm::Value *slot, llvm::Value *column) {
    const int64_t panel = nest_.tile.rows * nest_.columns * kVector;
    return e.offset(plane, e.add(e.mul(slot, panel), e.mul(column, kVector)));
  }

  /// V of the next point, where the far nest's item has it; behind the last one comes the next channels' first, or the next
  /// item's, mostly of the same tiles.
  llvm::Value *operandOfNext(const Item &at, llvm::Value *point, const Depths &depths, llvm::Value *v) {
    llvm::Value *low =
        e.b.CreateSelect(e.b.CreateICmpSLT(depths.high, e.i64(nest_.depth)), depths.high, e.i64(0));
    llvm::Value *first = e.add(e.mul(low, nest_.tile.vectors * kVector), winogradColumn(e, nest_, at.first));
    return e.b.CreateSelect(e.b.CreateICmpSLT(point, e.i64(points() - 1)), e.offset(v, nest_.operandPlane()),
                            e.offset(transformed_, first));
  }

  /// M of an item's point, or what some channels of the operand add to it. A panel of U meets all columns.
  void multiply(const Item &at, llvm::Value *point, const Depths &depths) {
    const int64_t width = nest_.tile.vectors;
    llvm::Value *count = e.b.CreateSub(at.end, at.first), *whole = e.b.CreateSub(count, e.mod(count, width));
    llvm::Value *u = e.offset(weights_, e.mul(point, nest_.weightPlane()));
    llvm::Value *v = e.offset(transformed_, e.mul(point, nest_.operandPlane()));
    llvm::Value *m = e.offset(products_, e.mul(point, nest_.productPlane()));
    v = e.offset(v, e.mul(depths.low, width * kVector));
    llvm::Value *next = nullptr;
    if (nest_.far) {
      v = e.offset(v, winogradColumn(e, nest_, at.first));
      next = operandOfNext(at, point, depths, v);
    }
    forPanels(at, [&](const Panel &panel) {
      auto tile = [&](llvm::Value *column, int64_t columns) {
        TileKernels::Args args{e.offset(u, e.mul(nest_.far ? panel.slot : panel.number, nest_.weightPanel())),
                               e.offset(v, winogradColumn(e, nest_, column)),
                               e.argument(1),
                               {e.b.CreateSub(depths.high, depths.low)},
                               product(m, panel.slot, column)};
        if (fetch_.pays()) {
          const Values share = fetch_.share({next_, point, panel.number, panel.channel,
                                             e.add(at.first, column), column, panel.rows, columns});
          args.numbers.insert(args.numbers.end(), share.begin(), share.end());
        }
        if (farFetch_.pays())
          args.numbers.push_back(farFetch_.share(next, panel.slot, column));
        tiles_.call(
            fmt::format("{}{}x{}", depths.add ? "add" : "", panel.rows, columns), args,
            [&](const TileKernels::Args &inner) { tileBody(inner, panel.rows, columns, depths.add); });
      };
      e.loop(e.i64(0), whole, width, [&](llvm::Value *column) { tile(column, width); });
      if (const int64_t rest = nest_.tiles() % width) // only in the last group
        emitIf(
            e, e.b.CreateICmpNE(whole, count), [&] { tile(whole, rest); }, [] {});
    });
  }

  void tileBody(const TileKernels::Args &args, int64_t rows, int64_t columns, bool add) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < rows; ++i)
      shape.rowOffsets.push_back(i * kFloat);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * kVector);
    const int64_t rowStep = rows * kFloat, columnStep = nest_.tile.vectors * kVector;
    const Reduction depth = nest_.far
                                ? Reduction::runtimeLoop(0, false, rowStep, columnStep, Reduction::step())
                                : Reduction::loop(nest_.depth, rowStep, columnStep, Reduction::step());
    if (fetch_.pays())
      shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
        fetch_.emit({args.numbers.begin() + 1, args.numbers.end()}, columns, iteration, iterations);
      };
    else if (farFetch_.pays())
      shape.alongside = [&](llvm::Value *iteration, int64_t) { farFetch_.emit(args.numbers[1], iteration); };
    Values sums = zeroAccumulators(e, shape);
    auto place = [&](int64_t i) {
      return e.offset(args.partials, (i / columns * nest_.columns + i % columns) * kVector);
    };
    for (int64_t i = 0; add && i < rows * columns; ++i)
      sums[i] = e.b.CreateAlignedLoad(e.vectorType(DType::F32), place(i), llvm::Align(64));
    sums = emitRegisterTile(e, shape, depth, args.row, args.column, {args.numbers[0]}, std::move(sums));
    for (int64_t i = 0; i < rows * columns; ++i)
      e.b.CreateAlignedStore(sums[i], place(i), llvm::Align(64));
  }

  void storeResults(const Item &at) {
    e.loop(at.first, at.end, 1, [&](llvm::Value *tile) {
      const WinogradPlace place = winogradPlace(e, nest_, tile);
      forPanels(at, [&](const Panel &panel) {
        const TileKernels::Args args{
            product(products_, panel.slot, e.b.CreateSub(tile, at.first)),
            products_,
            e.argument(1),
            {place.block, panel.channel, place.row, place.column, e.i64(panel.rows)}};
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
  const WinogradFetch fetch_;
  const WinogradFarFetch farFetch_;
  std::vector<TileRun> runs_; // of panels
  llvm::Value *weights_ = nullptr, *transformed_ = nullptr, *products_ = nullptr;
  llvm::Value *next_ = nullptr; // the next item's patches
};

/// Seconds at 100 billion operations a second.
double seconds(int64_t operations) { return 1e-11 * static_cast<double>(operations); }

class StepsEmitter {
public:
  StepsEmitter(KernelContext &k, TileStore &store, const WinogradNest &nest, int weights, int operand)
      : k_(k), e(k.e), nest_(nest), kernels_(e, store, k.symbol), tiles_(kernels_, nest), weights_(weights),
        operand_(operand) {}

  KernelCode emit() {
    if (nest_.far)
      return {{images(), tiles()}, tiles_.operandBytes()};
    return {{weights(), tiles()}, tiles_.weightBytes()};
  }

private:
  KernelStep step(KernelStep step, const std::function<void(llvm::Value *workspace)> &emit) {
    e.beginKernel(step.symbol);
    emit(e.buffer(k_.workspaceBuffer()));
    e.endFunction();
    return step;
  }

  KernelStep weights() {
    return step({.symbol = k_.symbol + ".weights",
                 .items = tiles_.weightItems(),
                 .work = seconds(2 * tiles_.points() * nest_.channels * nest_.depth)},
                [&](llvm::Value *workspace) { tiles_.emitWeights(e.buffer(weights_), workspace); });
  }

  KernelStep images() {
    return step({.symbol = k_.symbol + ".images",
                 .items = ceilDiv(nest_.depth, kImageChannels),
                 .scratchBytes = tiles_.patchBytes(),
                 .work = 1e-7 * static_cast<double>(nest_.tiles() * nest_.depth)},
                [&](llvm::Value *workspace) {
                  tiles_.emitImages(workspace, e.buffer(operand_), e.buffer(weights_));
                });
  }

  KernelStep tiles() {
    const int64_t made = nest_.far ? tiles_.weightBytes() : tiles_.operandBytes() + tiles_.patchBytes();
    return step(
        {.symbol = k_.symbol,
         .items = nest_.groups() * nest_.parts(),
         .scratchBytes = made + tiles_.productBytes(),
         .work = seconds(2 * kVectorLanes * tiles_.points() * nest_.tiles() * nest_.channels * nest_.depth)},
        [&](llvm::Value *workspace) {
          if (nest_.far)
            tiles_.emitFarItems(workspace, e.buffer(weights_));
          else
            tiles_.emitItems(workspace, e.buffer(operand_));
        });
  }

  KernelContext &k_;
  Emit &e;
  const WinogradNest &nest_;
  TileKernels kernels_;
  TilesEmitter tiles_;
  int weights_, operand_;
};

} // namespace

KernelCode emitWinograd(KernelContext &k, TileStore &store, const WinogradNest &nest, int weights,
                        int operand) {
  return StepsEmitter(k, store, nest, weights, operand).emit();
}

} // namespace gradc
