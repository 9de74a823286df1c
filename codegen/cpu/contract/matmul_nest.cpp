#include "codegen/cpu/contract/matmul_nest.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/batch_fetch.h"
#include "codegen/cpu/contract/panel.h"

namespace gradc {
namespace {

/// Enough grid items for 16 threads to share evenly.
constexpr int64_t kEnoughItems = 32;
constexpr int64_t kFloat = 4;
/// A larger row operand does not stay in L2 from one use to the next.
constexpr int64_t kPrefetchBytes = 512 << 10;
constexpr int64_t kVectorBytes = kVectorLanes * kFloat;
/// Bytes of a strip's row from which on the processor foresees better what comes than instructions tell it.
constexpr int64_t kLongRun = 12 << 10;
/// How far ahead of its use a matrix that is read or written in its order is fetched.
constexpr int64_t kAhead = 4 << 10;
constexpr int64_t kStripBytes = 96 << 10; // of accumulators

class MatmulEmitter {
public:
  MatmulEmitter(TileKernels &tiles, const MatmulNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), fetch_(e, nest) {}

  void emit(llvm::Value *rowOperand, llvm::Value *columnOperand) {
    const MatmulGrid grid = matmulGrid(nest_);
    if (nest_.packDepth)
      return emitPacked(grid, rowOperand, columnOperand);
    if (nest_.depthBlock)
      return emitStrips(grid, rowOperand, columnOperand);
    llvm::Value *buffers = e.argument(1);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t rowTiles = countTiles(grid.rowRuns);
      const int64_t inner = nest_.rowsOutside ? grid.columnItems : rowTiles;
      llvm::Value *innerTile = e.mod(item, inner), *rest = e.div(item, inner);
      llvm::Value *outerTile = e.mod(rest, rowTiles * grid.columnItems / inner);
      llvm::Value *rowTile = nest_.rowsOutside ? outerTile : innerTile;
      llvm::Value *columnTile = nest_.rowsOutside ? innerTile : outerTile;
      TileKernels::Args args{rowOperand, columnOperand, buffers, {}};
      decodeBatch(e.div(rest, rowTiles * grid.columnItems / inner), args);
      llvm::Value *nextColumns =
          nest_.fetchesNext ? e.offset(args.column, nest_.batches.back().columnStride) : nullptr;
      emitTileSwitch(e, grid.rowRuns, rowTile, [&](llvm::Value *row, const TileRun &rowRun) {
        auto tile = [&](llvm::Value *column, const TileRun &columnRun) {
          callTile(args, row, rowRun.size, column, columnRun,
                   shares({args.row, nextColumns, row, column, rowRun.size, nest_.columns}));
        };
        if (grid.columnItems == 1)
          emitTileLoops(e, grid.columnRuns, tile);
        else
          emitTileSwitch(e, grid.columnRuns, columnTile, tile);
      });
    });
  }

private:
  /// An item is a panel of columns: transpose it into scratch memory, then go through all rows.
  void emitPacked(const MatmulGrid &grid, llvm::Value *rowOperand, llvm::Value *columnOperand) {
    llvm::Value *panel = e.scratch();
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      TileKernels::Args args{rowOperand, columnOperand, e.argument(1), {}};
      decodeBatch(e.div(item, grid.columnItems), args);
      emitTileSwitch(
          e, grid.columnRuns, e.mod(item, grid.columnItems), [&](llvm::Value *column, const TileRun &run) {
            const int64_t rowBytes = nest_.packBlockStride ? kVectorBytes : nest_.packDepth * kFloat;
            llvm::Value *source = e.offset(args.column, e.mul(column, kVectorLanes * rowBytes)),
                        *nextPanel = e.offset(source, run.size * kVectorLanes * rowBytes);
            transposePanel(source, rowBytes,
                           (run.size - 1) * kVectorLanes + (isLast(run) ? nest_.lastLanes : kVectorLanes),
                           panel);
            emitTileLoops(e, grid.rowRuns, [&](llvm::Value *row, const TileRun &rowRun) {
              TileKernels::Args inner = args;
              inner.column = panel;
              callTile(inner, row, rowRun.size, column, run,
                       shares({args.row, nextPanel, row, e.i64(0), rowRun.size, run.size}));
            });
          });
    });
  }

  void transposePanel(llvm::Value *source, int64_t rowBytes, int64_t rows, llvm::Value *panel) {
    const int64_t pitch = nest_.tile.vectors * nest_.columnStride;
    if (nest_.packBlockStride == 0)
      return emitPanelTranspose(e, source, rowBytes, rows, nest_.packDepth, panel, pitch);
    for (int64_t k = 0; k < nest_.packDepth; k += kVectorLanes)
      emitPanelTranspose(e, e.offset(source, k / kVectorLanes * nest_.packBlockStride), rowBytes, rows,
                         std::min<int64_t>(kVectorLanes, nest_.packDepth - k), e.offset(panel, k * pitch),
                         pitch);
  }

  /// A tile of a strip, and the place of its accumulators.
  struct StripTile {
    llvm::Value *row, *column, *partials;
    int64_t rows, columns;
  };

  /// An item's strip belongs to one of the batches.
  void emitStrips(const MatmulGrid &grid, llvm::Value *rowOperand, llvm::Value *columnOperand) {
    const TileKernels::Args operands{rowOperand, columnOperand, e.argument(1), {}};
    if (grid.batches == 1)
      return emitStrips(grid, operands, e.itemBegin(), e.itemEnd());
    const int64_t strips = nest_.items() / grid.batches;
    e.count(grid.batches, [&](llvm::Value *batch) {
      TileKernels::Args inner = operands;
      decodeBatch(batch, inner);
      llvm::Value *before = e.mul(batch, strips);
      emitStrips(grid, inner, e.atLeast(e.b.CreateSub(e.itemBegin(), before), 0),
                 e.atMost(e.b.CreateSub(e.itemEnd(), before), strips));
    });
  }

  void emitStrips(const MatmulGrid &grid, const TileKernels::Args &operands, llvm::Value *begin,
                  llvm::Value *end) {
    auto tilesBefore = [&](llvm::Value *strip) {
      return e.atMost(e.mul(strip, nest_.stripTiles), countTiles(grid.rowRuns));
    };
    e.loop(begin, end, nest_.joinedStrips, [&](llvm::Value *strip) {
      llvm::Value *last = e.atMost(e.add(strip, e.i64(nest_.joinedStrips)), end);
      emitStrip(grid, operands, tilesBefore(strip), tilesBefore(last));
    });
  }

  void emitStrip(const MatmulGrid &grid, const TileKernels::Args &operands, llvm::Value *first,
                 llvm::Value *end) {
    const Reduction &depth = nest_.reduction;
    llvm::Value *tiles = e.b.CreateSub(end, first);
    auto pass = [&](llvm::Value *block, int64_t steps) {
      forStrip(grid, first, end, [&](const StripTile &tile) {
        TileKernels::Args args = stripArguments(operands, tile);
        args.row = e.offset(args.row, e.mul(block, nest_.depthBlock * depth.rowStep));
        args.column = e.offset(args.column, e.mul(block, nest_.depthBlock * depth.columnStep));
        args.numbers.push_back(tiles);
        tiles_.call(fmt::format("add{}.{}x{}", steps, tile.rows, tile.columns), args,
                    [&](const TileKernels::Args &inner) { addToPartials(inner, tile, steps); });
      });
    };
    e.clear(e.scratch(), e.mul(tiles, nest_.columns * nest_.tile.rows), 4);
    const int64_t blocks = depth.extent / nest_.depthBlock;
    e.count(blocks, [&](llvm::Value *block) { pass(block, nest_.depthBlock); });
    if (depth.extent % nest_.depthBlock)
      pass(e.i64(blocks), depth.extent % nest_.depthBlock);
    forStrip(grid, first, end, [&](const StripTile &tile) {
      tiles_.call(fmt::format("store.{}x{}", tile.rows, tile.columns), stripArguments(operands, tile),
                  [&](const TileKernels::Args &inner) { storePartials(inner, tile); });
    });
  }

  void forStrip(const MatmulGrid &grid, llvm::Value *first, llvm::Value *end,
                const std::function<void(const StripTile &)> &f) {
    e.loop(first, end, 1, [&](llvm::Value *number) {
      llvm::Value *slot = e.mul(e.b.CreateSub(number, first), nest_.columns);
      emitTileSwitch(e, grid.rowRuns, number, [&](llvm::Value *row, const TileRun &rowRun) {
        emitTileLoops(e, grid.columnRuns, [&](llvm::Value *column, const TileRun &columnRun) {
          f({row, column, e.offset(e.scratch(), e.mul(e.add(slot, column), nest_.partialBytes())),
             rowRun.size, columnRun.size});
        });
      });
    });
  }

  TileKernels::Args stripArguments(TileKernels::Args args, const StripTile &tile) {
    args.row = e.offset(args.row, rowOffset(tile.row));
    args.column = e.offset(args.column, e.mul(tile.column, nest_.columnStride));
    args.numbers.insert(args.numbers.end(), {tile.row, tile.column});
    args.partials = tile.partials;
    return args;
  }

  /// The tile's rows are units of packed weights.
  bool readsUnits() const { return nest_.rowBlockStride != 0; }

  llvm::Value *rowOffset(llvm::Value *row) {
    if (!readsUnits())
      return e.mul(row, nest_.rowStride);
    return e.add(e.mul(e.div(row, kVectorLanes), nest_.rowBlockStride),
                 e.mul(e.mod(row, kVectorLanes), nest_.rowStride));
  }

  RegisterTileShape tileShape(int64_t rows, int64_t columns) const {
    RegisterTileShape shape;
    for (int64_t i = 0; i < rows; ++i)
      shape.rowOffsets.push_back(i * nest_.rowStride);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * nest_.columnStride);
    shape.broadcastRows = nest_.broadcastRows;
    if (readsUnits()) {
      shape.rowPrefetch = kAhead;
      shape.rowPrefetchInto = Cache::L1;
    }
    return shape;
  }

  Values loadPartials(llvm::Value *partials, const StripTile &tile) {
    Values sums;
    for (int64_t i = 0; i < tile.rows * tile.columns; ++i)
      sums.push_back(e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(partials, i * kVectorBytes),
                                           llvm::Align(4)));
    return sums;
  }

  void addToPartials(const TileKernels::Args &args, const StripTile &tile, int64_t steps) {
    const bool towardsInput = !readsUnits() && nest_.rowStride == kFloat;
    if (towardsInput && steps == nest_.depthBlock)
      emitIf(
          e, e.b.CreateICmpULT(args.numbers.back(), e.i64(kLongRun / (nest_.tile.rows * kFloat))),
          [&] { prefetchRows(args.row, tile.rows, steps); }, [] {});
    if (nest_.rowStride == kVectorBytes) // the same of packed weights
      for (int64_t i = 0; i < tile.rows; ++i)
        emitPrefetch(e, e.offset(args.row, i * kVectorBytes + kAhead), Cache::L1);
    Reduction block = nest_.reduction;
    block.extent = steps;
    const Values sums = emitRegisterTile(e, tileShape(tile.rows, tile.columns), block, args.row, args.column,
                                         {}, loadPartials(args.partials, tile));
    for (size_t i = 0; i < sums.size(); ++i)
      e.b.CreateAlignedStore(sums[i], e.offset(args.partials, static_cast<int64_t>(i) * kVectorBytes),
                             llvm::Align(4));
  }

  /// What the tile reads of the next block, where its rows are neighbours in memory: the hardware does not follow so
  /// many streams unless they are long.
  void prefetchRows(llvm::Value *row, int64_t rows, int64_t steps) {
    for (int64_t k = 0; k < steps; ++k)
      for (int64_t at = 0; at < rows * kFloat; at += kCacheLine)
        emitPrefetch(e, e.offset(row, (steps + k) * nest_.reduction.rowStep + at), Cache::L2);
  }

  void storePartials(const TileKernels::Args &args, const StripTile &tile) {
    const Values sums = loadPartials(args.partials, tile);
    std::vector<TileVector> vectors;
    for (int i = 0; i < tile.rows; ++i)
      for (int j = 0; j < tile.columns; ++j)
        vectors.push_back({sums[i * tile.columns + j], indexOf(args, e.i64(i), e.i64(j), kVectorLanes)});
    tiles_.store.store(vectors);
  }

  bool isLast(const TileRun &run) const {
    return run.end() == nest_.columns && nest_.lastLanes != kVectorLanes;
  }

  /// Adds the batch's coordinates and moves the operands to it.
  void decodeBatch(llvm::Value *batch, TileKernels::Args &args) {
    args.numbers.assign(nest_.batches.size(), nullptr);
    for (size_t i = nest_.batches.size(); i-- > 0;) {
      const MatmulNest::Batch &dim = nest_.batches[i];
      llvm::Value *index = i == 0 ? batch : e.mod(batch, dim.size);
      batch = e.div(batch, dim.size);
      args.numbers[i] = index;
      args.row = e.offset(args.row, e.mul(index, dim.rowStride));
      args.column = e.offset(args.column, e.mul(index, dim.columnStride));
    }
  }

  Values shares(const BatchFetch::Tile &tile) { return nest_.fetchesNext ? fetch_.shares(tile) : Values{}; }

  void callTile(TileKernels::Args args, llvm::Value *row, int64_t rows, llvm::Value *column,
                const TileRun &columnRun, const Values &shares) {
    const bool last = isLast(columnRun);
    args.row = e.offset(args.row, rowOffset(row));
    if (!nest_.packDepth)
      args.column = e.offset(args.column, e.mul(column, nest_.columnStride));
    args.numbers.push_back(row);
    args.numbers.push_back(column);
    args.numbers.insert(args.numbers.end(), shares.begin(), shares.end());
    tiles_.call(fmt::format("{}x{}{}", rows, columnRun.size, last ? "m" : ""), args,
                [&](const TileKernels::Args &inner) {
                  tileBody(inner, static_cast<int>(rows), static_cast<int>(columnRun.size),
                           last ? nest_.lastLanes : kVectorLanes);
                });
  }

  void tileBody(const TileKernels::Args &args, int rows, int columns, int lastLanes) {
    RegisterTileShape shape = tileShape(rows, columns);
    shape.lastLanes = nest_.packDepth ? kVectorLanes : lastLanes; // panels are filled up with zeros
    if (nest_.rowBytes > kPrefetchBytes && nest_.reduction.rowStep >= kCacheLine && !nest_.fetchesNext)
      shape.rowPrefetch = rows * nest_.rowStride;
    shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
      fetchEpilogue(args, rows, columns, lastLanes, iteration, iterations);
      if (nest_.fetchesNext)
        fetchNext(args, rows, columns, iteration, iterations);
    };
    Values sums =
        emitRegisterTile(e, shape, nest_.reduction, args.row, args.column, {}, zeroAccumulators(e, shape));
    emitStoreTile(e, tiles_.store, sums, rows, [&](llvm::Value *first, int64_t count) {
      return tileVectors(args, first, count, columns, lastLanes);
    });
  }

  /// The epilogue's operands a few rows at a time: all at once they would keep the reduction's own from coming.
  void fetchEpilogue(const TileKernels::Args &args, int rows, int columns, int lastLanes,
                     llvm::Value *iteration, int64_t iterations) {
    const int64_t share = ceilDiv(rows, iterations);
    TileKernels::Args next = args;
    const bool alongRows = nest_.packBlockStride != 0; // where the result goes on behind the tile
    llvm::Value *&place = next.numbers[nest_.batches.size() + (alongRows ? 0 : 1)];
    place = e.add(place, e.i64(alongRows ? ceilDiv(kAhead / kVectorBytes, rows) * rows : columns));
    tiles_.store.prefetch(tileVectors(next, e.mul(iteration, share), share, columns, lastLanes));
  }

  /// What the next product reads, and where the tile below this one will be stored.
  void fetchNext(const TileKernels::Args &args, int rows, int columns, llvm::Value *iteration,
                 int64_t iterations) {
    const size_t first = nest_.batches.size() + 2;
    fetch_.emit(args.numbers[first], args.numbers[first + 1], rows, columns, iteration, iterations);
    const int64_t each = ceilDiv(int64_t{rows} * columns, iterations);
    for (int64_t i = 0; i < each; ++i) {
      llvm::Value *vector = e.add(e.mul(iteration, each), e.i64(i)), *row = e.div(vector, columns);
      tiles_.store.prefetchResult(
          indexOf(args, e.add(row, e.i64(rows)), e.mod(vector, columns), kVectorLanes));
    }
  }

  /// Rows first .. first + rows - 1 of a tile.
  std::vector<TileVector> tileVectors(const TileKernels::Args &args, llvm::Value *first, int64_t rows,
                                      int columns, int lastLanes) {
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        tile.push_back({nullptr, indexOf(args, e.add(first, e.i64(i)), e.i64(j),
                                         j + 1 == columns ? lastLanes : kVectorLanes)});
    return tile;
  }

  LaneIndex indexOf(const TileKernels::Args &args, llvm::Value *i, llvm::Value *j, int lanes) {
    LaneMath math(e);
    const size_t batches = nest_.batches.size();
    std::vector<LaneValue> dims(nest_.rank, math.constant(0));
    for (size_t k = 0; k < batches; ++k)
      dims[nest_.batches[k].axis] = laneValue(nest_.batches[k].axis, args.numbers[k]);
    dims[nest_.rowAxis] = laneValue(nest_.rowAxis, e.add(args.numbers[batches], i));
    dims[nest_.columnAxis] = laneValue(nest_.columnAxis, e.add(args.numbers[batches + 1], j));
    LaneIndex index = LaneIndex::of(std::move(dims), lanes == kVectorLanes ? nullptr : e.laneMask(lanes));
    index.groups[nest_.rowAxis].count = nest_.rowDims;
    return index;
  }

  /// An axis' index: 16 consecutive ones along the lanes.
  LaneValue laneValue(int axis, llvm::Value *index) {
    LaneMath math(e);
    return axis == nest_.laneAxis ? math.consecutive(e.mul(index, kVectorLanes), kVectorLanes)
                                  : math.uniform(index);
  }

  TileKernels &tiles_;
  Emit &e;
  const MatmulNest &nest_;
  BatchFetch fetch_;
};

} // namespace

Reduction overBlocks(int64_t depth, int64_t blockBytes, int64_t panel) {
  const int64_t full = depth / kVectorLanes, rest = depth % kVectorLanes;
  auto inBlock = [&](int64_t count) { return Reduction::loop(count, kFloat, panel, Reduction::step()); };
  std::vector<Reduction::Part> parts;
  if (full)
    parts.push_back(
        {.reduction = Reduction::loop(full, blockBytes, kVectorLanes * panel, inBlock(kVectorLanes))});
  if (rest)
    parts.push_back({full * blockBytes, full * kVectorLanes * panel, ~0u, inBlock(rest)});
  return Reduction::sequence(std::move(parts));
}

MatmulGrid matmulGrid(const MatmulNest &nest) {
  MatmulGrid grid;
  grid.rowRuns = balancedTiles(nest.rows, nest.tile.rows);
  grid.columnRuns = balancedTiles(nest.columns, nest.tile.vectors);
  if (nest.lastLanes != kVectorLanes && grid.columnRuns.back().count > 1) {
    // The tile with the partial vector is code of its own.
    TileRun last = grid.columnRuns.back();
    grid.columnRuns.back().count -= 1;
    last.start = grid.columnRuns.back().end();
    last.count = 1;
    grid.columnRuns.push_back(last);
  }
  for (const MatmulNest::Batch &dim : nest.batches)
    grid.batches *= dim.size;
  if (nest.packDepth || grid.items() < kEnoughItems)
    grid.columnItems = countTiles(grid.columnRuns);
  return grid;
}

int64_t MatmulNest::items() const {
  const MatmulGrid grid = matmulGrid(*this);
  if (depthBlock)
    return grid.batches * ceilDiv(countTiles(grid.rowRuns), stripTiles);
  return packDepth ? grid.batches * grid.columnItems : grid.items();
}

int64_t MatmulNest::scratchBytes() const {
  return depthBlock ? joinedStrips * stripTiles * columns * partialBytes()
                    : packDepth * tile.vectors * kVectorBytes;
}

void blockForCache(MatmulNest &nest, int64_t l2Bytes) {
  constexpr int64_t kPage = 4096;
  const int64_t depth = nest.reduction.extent;
  if (nest.rowStride == kFloat && nest.rows * depth * kFloat > l2Bytes) {
    // Rows are neighbours in memory, steps a whole row of the matrix apart, of which the lines compete for one set of
    // L1 where that is a multiple of a page.
    nest.depthBlock = nest.reduction.rowStep % kPage == 0 ? 8 : 16;
  } else if (nest.reduction.rowStep == kFloat && nest.columns * depth * kVectorBytes > l2Bytes / 2) {
    nest.depthBlock = MatmulNest::kLongRuns; // of the columns' operand, which all row tiles of a strip use
  }
  if (nest.depthBlock == 0 || nest.depthBlock >= depth) {
    nest.depthBlock = 0;
    return;
  }
  const int64_t tiles = ceilDiv(nest.rows, nest.tile.rows), tileBytes = nest.columns * nest.partialBytes();
  const int64_t strips = std::min(tiles, ceilDiv(tiles * tileBytes, kStripBytes));
  nest.stripTiles = ceilDiv(tiles, std::max<int64_t>(strips, std::min<int64_t>(tiles, 4)));
  if (nest.rowStride == kFloat) // the longer the runs, the faster memory delivers
    nest.joinedStrips = std::clamp<int64_t>(l2Bytes / 2 / (nest.stripTiles * tileBytes), 1, strips);
}

void blockPackedRows(MatmulNest &nest) {
  const int64_t tiles = ceilDiv(nest.rows, nest.tile.rows), tileBytes = nest.columns * nest.partialBytes();
  if (nest.rowBlockStride != 0) { // units: a block's tiles take turns, so that its lines are read once
    const int64_t blockTiles = kVectorLanes / nest.tile.rows;
    if (blockTiles * countTiles(balancedTiles(nest.columns, nest.tile.vectors)) == 1 ||
        nest.reduction.extent <= MatmulNest::kLongRuns)
      return;
    nest.depthBlock = MatmulNest::kLongRuns;
    nest.stripTiles = blockTiles;
  } else { // inputs: a block of units has all of them side by side
    nest.depthBlock = 1;
    nest.stripTiles = ceilDiv(tiles, ceilDiv(tiles * tileBytes, kStripBytes));
  }
}

void emitNest(TileKernels &tiles, const MatmulNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand) {
  MatmulEmitter(tiles, nest).emit(rowOperand, columnOperand);
}

} // namespace gradc
