#include "codegen/cpu/contract/blocked_nest.h"

#include <fmt/format.h>

#include "codegen/cpu/contract/block_copy.h"
#include "codegen/cpu/contract/panel.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
/// An operand that large does not stay in the second cache from one use to the next.
constexpr int64_t kFarBytes = 2 << 20;
/// Depths between two rounds of prefetching.
constexpr int64_t kChunk = BlockedNest::kDepthUnit;
using Storage = BlockedNest::Storage;

/// Bytes from one index to the next; `Blocks` of columns count whole vectors.
int64_t indexStep(const BlockedNest::Operand &operand) {
  switch (operand.storage) {
  case Storage::DepthInner: return operand.pitch;
  case Storage::IndexInner: return kFloat;
  case Storage::Blocks: return kVector;
  }
  return 0;
}

/// Bytes that so many depths of the row operand take, a multiple of kDepthUnit.
int64_t rowDepths(const BlockedNest::Operand &row, int64_t depths) {
  switch (row.storage) {
  case Storage::DepthInner: return depths * kFloat;
  case Storage::IndexInner: return depths * row.pitch;
  case Storage::Blocks: return depths / BlockedNest::kDepthUnit * row.pitch;
  }
  return 0;
}

/// The same of the column operand.
int64_t columnDepths(const BlockedNest::Operand &column, int64_t depths) {
  switch (column.storage) {
  case Storage::DepthInner: return depths * kFloat;
  case Storage::IndexInner: return depths * column.pitch;
  case Storage::Blocks: return depths * kVector;
  }
  return 0;
}

/// Bytes between columns of 16 lanes.
int64_t vectorStep(const BlockedNest::Operand &column) {
  switch (column.storage) {
  case Storage::DepthInner: return kVectorLanes * column.pitch;
  case Storage::IndexInner: return kVector;
  case Storage::Blocks: return column.pitch;
  }
  return 0;
}

std::vector<TileRun> panelRunsOf(const BlockedNest &nest) {
  std::vector<TileRun> runs = balancedTiles(nest.columns, nest.tile.vectors);
  if (nest.lastLanes == kVectorLanes || runs.back().count == 1)
    return runs;
  TileRun last = runs.back(); // the panel with the partial vector is code of its own
  runs.back().count -= 1;
  last.start = runs.back().end();
  last.count = 1;
  runs.push_back(last);
  return runs;
}

class BlockedEmitter {
public:
  BlockedEmitter(TileKernels &tiles, const BlockedNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), map_(nest.scratch()), rows_(nest.readRows()),
        rowRuns_(balancedTiles(nest.rows, nest.tile.rows)), panelRuns_(panelRunsOf(nest)) {}

  void emit(llvm::Value *rowOperand, llvm::Value *columnOperand) {
    scratch_ = e.scratch();
    buffers_ = e.argument(1);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t columnBlocks = ceilDiv(countTiles(panelRuns_), nest_.panels);
      const int64_t rowBlocks = ceilDiv(countTiles(rowRuns_), nest_.rowTiles);
      llvm::Value *rest = e.div(item, columnBlocks);
      Block block = segmentAt(rowOperand, columnOperand, e.div(rest, rowBlocks));
      std::tie(block.firstTile, block.endTile) =
          range(e.mod(rest, rowBlocks), nest_.rowTiles, countTiles(rowRuns_));
      std::tie(block.firstPanel, block.endPanel) =
          range(e.mod(item, columnBlocks), nest_.panels, countTiles(panelRuns_));
      block.firstRow = startOf(rowRuns_, block.firstTile);
      block.endRow = startOf(rowRuns_, block.endTile);
      emitBlock(block);
    });
  }

private:
  struct Block {
    llvm::Value *segment;
    llvm::Value *row, *column; // the operands at the block's first depth
    llvm::Value *firstTile = nullptr, *endTile = nullptr, *firstPanel = nullptr, *endPanel = nullptr;
    llvm::Value *firstRow = nullptr, *endRow = nullptr;
  };
  /// How a tile's sums begin and where they go.
  enum class Part : uint8_t { Whole, First, Middle, Last };

  std::pair<llvm::Value *, llvm::Value *> range(llvm::Value *number, int64_t size, int64_t all) {
    llvm::Value *low = e.mul(number, size);
    return {low, e.atMost(e.add(low, e.i64(size)), all)};
  }

  /// The first row or column of a tile, or where the last one ends.
  llvm::Value *startOf(const std::vector<TileRun> &runs, llvm::Value *tile) {
    llvm::Value *start = nullptr;
    int64_t before = countTiles(runs);
    for (size_t i = runs.size(); i-- > 0;) {
      const int64_t end = before;
      before -= runs[i].count;
      llvm::Value *here = e.add(e.mul(tile, runs[i].size), e.i64(runs[i].start - before * runs[i].size));
      start = start ? e.b.CreateSelect(e.b.CreateICmpSLT(tile, e.i64(end)), here, start) : here;
    }
    return start;
  }

  Block segmentAt(llvm::Value *row, llvm::Value *column, llvm::Value *segment) {
    return {segment, e.offset(row, e.mul(segment, rowDepths(nest_.row, nest_.depth))),
            e.offset(column, e.mul(segment, columnDepths(nest_.column, nest_.depth)))};
  }

  Block atDepth(const Block &block, llvm::Value *number) {
    Block moved = block;
    moved.row = e.offset(block.row, e.mul(number, rowDepths(nest_.row, nest_.depthBlock)));
    moved.column = e.offset(block.column, e.mul(number, columnDepths(nest_.column, nest_.depthBlock)));
    return moved;
  }

  void emitBlock(const Block &block) {
    const int64_t blocks = nest_.depthBlocks(), last = nest_.depth - (blocks - 1) * nest_.depthBlock;
    if (blocks == 1)
      return emitDepths(block, nest_.depth, Part::Whole);
    emitDepths(block, nest_.depthBlock, Part::First);
    if (blocks > 2)
      e.loop(e.i64(1), e.i64(blocks - 1), 1,
             [&](llvm::Value *k) { emitDepths(atDepth(block, k), nest_.depthBlock, Part::Middle); });
    emitDepths(atDepth(block, e.i64(blocks - 1)), last, Part::Last);
  }

  void emitDepths(const Block &block, int64_t depth, Part part) {
    if (nest_.column.storage == Storage::IndexInner)
      copyPanels(block, depth);
    else
      forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &run) {
        packPanel(block, panel, column, run, depth);
      });
    if (nest_.wholeDepth)
      return emitWhole(block);
    if (nest_.packsRows())
      copyRows(block, depth);
    forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &panelRun) {
      forEachTile(block, [&](llvm::Value *tile, llvm::Value *row, const TileRun &rowRun) {
        callTile(block, {tile, row, rowRun}, {panel, column, panelRun}, depth, part);
      });
    });
  }

  void emitWhole(const Block &block) {
    forEachTile(block, [&](llvm::Value *tile, llvm::Value *row, const TileRun &rowRun) {
      Block inner = block;
      inner.firstRow = row;
      inner.endRow = e.add(row, e.i64(rowRun.size));
      if (nest_.packsRows())
        copyRows(inner, nest_.depth);
      forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &panelRun) {
        callTile(inner, {tile, row, rowRun}, {panel, column, panelRun}, nest_.depth, Part::Whole);
      });
    });
  }

  /// f(number within the block, first row or column, run)
  using OnPart = std::function<void(llvm::Value *, llvm::Value *, const TileRun &)>;
  void forEachPanel(const Block &block, const OnPart &f) {
    forEach(block.firstPanel, block.endPanel, panelRuns_, f);
  }
  void forEachTile(const Block &block, const OnPart &f) {
    forEach(block.firstTile, block.endTile, rowRuns_, f);
  }
  void forEach(llvm::Value *first, llvm::Value *end, const std::vector<TileRun> &runs, const OnPart &f) {
    e.loop(first, end, 1, [&](llvm::Value *tile) {
      emitTileSwitch(e, runs, tile, [&](llvm::Value *start, const TileRun &run) {
        f(e.b.CreateSub(tile, first), start, run);
      });
    });
  }

  bool isLast(const TileRun &panel) const {
    return panel.end() == nest_.columns && nest_.lastLanes != kVectorLanes;
  }
  int64_t columnsOf(const TileRun &panel) const {
    return (panel.size - 1) * kVectorLanes + (isLast(panel) ? nest_.lastLanes : kVectorLanes);
  }
  int64_t panelPitch() const { return nest_.tile.vectors * kVector; }
  llvm::Value *panelAt(llvm::Value *panel) { return e.offset(scratch_, e.mul(panel, nest_.panelBytes())); }
  llvm::Value *copiedRows() { return e.offset(scratch_, map_.rows); }
  llvm::Value *rowAt(const Block &block, llvm::Value *row) {
    return nest_.packsRows()
               ? e.offset(copiedRows(), e.mul(e.b.CreateSub(row, block.firstRow), indexStep(rows_)))
               : e.offset(block.row, e.mul(row, indexStep(nest_.row)));
  }

  /// Depth by depth through all panels, so that what is read of a depth is one run of memory.
  void copyPanels(const Block &block, int64_t depth) {
    e.count(depth, [&](llvm::Value *k) {
      llvm::Value *source = e.offset(block.column, e.mul(k, nest_.column.pitch));
      forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &run) {
        emitPanelCopy(e, e.offset(source, e.mul(column, kVector)), 0, 1, columnsOf(run),
                      e.offset(panelAt(panel), e.mul(k, panelPitch())), panelPitch());
      });
    });
  }

  /// A function of its own, so that it is emitted once.
  void packPanel(const Block &block, llvm::Value *panel, llvm::Value *column, const TileRun &run,
                 int64_t depth) {
    TileKernels::Args args{
        panelAt(panel), e.offset(block.column, e.mul(column, vectorStep(nest_.column))), buffers_, {}};
    tiles_.call(fmt::format("pack{}x{}{}", run.size, depth, isLast(run) ? "m" : ""), args,
                [&](const TileKernels::Args &inner) {
                  if (nest_.column.storage == Storage::DepthInner)
                    return emitPanelTranspose(e, inner.column, nest_.column.pitch, columnsOf(run), depth,
                                              inner.row, panelPitch());
                  for (int64_t j = 0; j < run.size; ++j)
                    emitPanelCopy(e, e.offset(inner.column, j * nest_.column.pitch), kVector, depth,
                                  kVectorLanes, e.offset(inner.row, j * kVector), panelPitch());
                });
  }

  /// The block's rows in their own order, with another pitch.
  void copyRows(const Block &block, int64_t depth) {
    const MemoryBlock source{e.offset(block.row, e.mul(block.firstRow, indexStep(nest_.row))),
                             nest_.row.pitch},
        target{copiedRows(), rows_.pitch};
    llvm::Value *count = e.b.CreateSub(block.endRow, block.firstRow);
    switch (nest_.row.storage) {
    case Storage::DepthInner: return emitBlockCopy(e, source, target, count, e.i64(depth));
    case Storage::IndexInner: return emitBlockCopy(e, source, target, e.i64(depth), count);
    case Storage::Blocks:
      return emitBlockCopy(e, source, target, e.i64(ceilDiv(depth, kChunk)), e.mul(count, kVectorLanes));
    }
  }

  struct Place {
    llvm::Value *number, *start; // within the block; the first row or column
    const TileRun &run;
  };

  void callTile(const Block &block, const Place &tile, const Place &panel, int64_t depth, Part part) {
    TileKernels::Args args{
        rowAt(block, tile.start), panelAt(panel.number), buffers_, {tile.start, panel.start, block.segment}};
    llvm::Value *sum = e.add(e.mul(tile.number, nest_.panels), panel.number);
    args.partials = e.offset(scratch_, e.add(e.i64(map_.sums), e.mul(sum, nest_.sumBytes())));
    if (part == Part::First || part == Part::Middle)
      addNextBlock(block, sum, args.numbers);
    constexpr std::string_view names[] = {"", "first", "middle", "last"};
    tiles_.call(fmt::format("{}x{}x{}{}{}", tile.run.size, panel.run.size, depth,
                            isLast(panel.run) ? "m" : "", names[static_cast<size_t>(part)]),
                args,
                [&](const TileKernels::Args &inner) { tileBody(inner, tile.run, panel.run, depth, part); });
  }

  // What comes from far away is fetched into the second cache while the block before is computed: each tile fetches
  // its share of the next block's lines.

  bool fetchesRows() const { return nest_.rows * nest_.depth * kFloat >= kFarBytes; }
  bool fetchesColumns() const { return nest_.columns * nest_.depth * kVector >= kFarBytes; }
  /// Cache lines in a run of the block, and in all of it.
  int64_t rowLines() const {
    switch (nest_.row.storage) {
    case Storage::DepthInner: return nest_.depthBlock / kChunk;
    case Storage::IndexInner: return ceilDiv(nest_.blockRows(), kVectorLanes);
    case Storage::Blocks: return nest_.blockRows();
    }
    return 1;
  }
  int64_t columnLines() const {
    switch (nest_.column.storage) {
    case Storage::DepthInner: return nest_.depthBlock / kChunk;
    case Storage::IndexInner: return nest_.panels * nest_.tile.vectors;
    case Storage::Blocks: return nest_.depthBlock;
    }
    return 1;
  }
  int64_t allRowLines() const {
    return nest_.row.storage == Storage::IndexInner ? nest_.depthBlock * rowLines()
                                                    : nest_.blockRows() * nest_.depthBlock / kChunk;
  }
  int64_t allColumnLines() const { return nest_.panels * nest_.tile.vectors * nest_.depthBlock; }
  /// Of a tile's chunk.
  int64_t share(int64_t lines) const {
    return ceilDiv(lines * kChunk, nest_.rowTiles * nest_.panels * nest_.depthBlock);
  }

  void addNextBlock(const Block &block, llvm::Value *tile, Values &numbers) {
    const Block next = atDepth(block, e.i64(1));
    numbers.push_back(e.mul(tile, nest_.depthBlock / kChunk));
    if (fetchesRows())
      numbers.push_back(e.offset(next.row, e.mul(block.firstRow, indexStep(nest_.row))));
    if (fetchesColumns())
      numbers.push_back(
          e.offset(next.column, e.mul(startOf(panelRuns_, block.firstPanel), vectorStep(nest_.column))));
  }

  void fetchChunk(const TileKernels::Args &args, llvm::Value *chunk) {
    constexpr size_t kFirst = 3; // behind the tile's coordinates
    llvm::Value *number = e.add(args.numbers[kFirst], chunk);
    size_t next = kFirst + 1;
    auto fetch = [&](int64_t pitch, int64_t lines, int64_t all) {
      const int64_t count = share(all);
      emitBlockPrefetch(e, {args.numbers[next++], pitch}, lines, e.mul(number, count), count);
    };
    if (fetchesRows())
      fetch(nest_.row.pitch, rowLines(), allRowLines());
    if (fetchesColumns())
      fetch(nest_.column.pitch, columnLines(), allColumnLines());
  }

  /// In chunks where each of them has something to do beside, or lies elsewhere.
  Reduction reduction(int64_t depth, bool inChunks) const {
    const int64_t rowStep = rows_.storage == Storage::IndexInner ? rows_.pitch : kFloat;
    auto steps = [&](int64_t count) {
      return Reduction::loop(count, rowStep, panelPitch(), Reduction::step());
    };
    const int64_t chunks = depth / kChunk, rest = depth % kChunk;
    if (!inChunks || chunks == 0)
      return steps(depth);
    const int64_t chunkStep = rowDepths(rows_, kChunk);
    Reduction whole = Reduction::loop(chunks, chunkStep, kChunk * panelPitch(), steps(kChunk));
    if (rest == 0)
      return whole;
    return Reduction::sequence({{.reduction = std::move(whole)},
                                {chunks * chunkStep, chunks * kChunk * panelPitch(), ~0u, steps(rest)}});
  }

  void tileBody(const TileKernels::Args &args, const TileRun &rowRun, const TileRun &panelRun, int64_t depth,
                Part part) {
    const bool finishes = part == Part::Whole || part == Part::Last,
               begins = part == Part::Whole || part == Part::First;
    const bool fetches = !finishes && (fetchesRows() || fetchesColumns());
    RegisterTileShape shape;
    for (int64_t i = 0; i < rowRun.size; ++i)
      shape.rowOffsets.push_back(i * indexStep(rows_));
    for (int64_t j = 0; j < panelRun.size; ++j)
      shape.columnOffsets.push_back(j * kVector);
    if (fetches)
      shape.alongside = [&](llvm::Value *chunk, int64_t) { fetchChunk(args, chunk); };
    if (finishes) // what the next tile's epilogue reads, some rows at a time
      shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
        const int64_t rows = ceilDiv(rowRun.size, iterations);
        llvm::Value *first = e.add(e.mul(iteration, rows), e.i64(rowRun.size));
        tiles_.store.prefetch(tileVectors(args, first, rows, panelRun));
      };
    Values sums = begins ? zeroAccumulators(e, shape) : loadSums(args, rowRun.size * panelRun.size);
    sums = emitRegisterTile(e, shape, reduction(depth, fetches || rows_.storage == Storage::Blocks), args.row,
                            args.column, {}, std::move(sums));
    if (!finishes)
      return storeSums(args, sums);
    emitStoreTile(e, tiles_.store, sums, rowRun.size,
                  [&](llvm::Value *first, int64_t rows) { return tileVectors(args, first, rows, panelRun); });
  }

  Values loadSums(const TileKernels::Args &args, int64_t count) {
    Values sums;
    for (int64_t i = 0; i < count; ++i)
      sums.push_back(e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(args.partials, i * kVector),
                                           llvm::Align(kFloat)));
    return sums;
  }
  void storeSums(const TileKernels::Args &args, const Values &sums) {
    for (size_t i = 0; i < sums.size(); ++i)
      e.b.CreateAlignedStore(sums[i], e.offset(args.partials, static_cast<int64_t>(i) * kVector),
                             llvm::Align(kFloat));
  }

  /// So many rows of a tile, from one of them on.
  std::vector<TileVector> tileVectors(const TileKernels::Args &args, llvm::Value *first, int64_t rows,
                                      const TileRun &panel) {
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < panel.size; ++j)
        tile.push_back(
            {nullptr, indexOf(args, e.add(first, e.i64(i)), j,
                              isLast(panel) && j + 1 == panel.size ? nest_.lastLanes : kVectorLanes)});
    return tile;
  }

  LaneIndex indexOf(const TileKernels::Args &args, llvm::Value *i, int64_t j, int lanes) {
    LaneMath math(e);
    LaneValue row = math.uniform(e.add(args.numbers[0], i));
    LaneValue column = math.consecutive(e.mul(e.add(args.numbers[1], e.i64(j)), kVectorLanes), kVectorLanes);
    LaneIndex index;
    if (nest_.segments > 1)
      index.groups.push_back({1, math.uniform(args.numbers[2])});
    if (nest_.batchLanes) {
      index.groups.insert(index.groups.end(), {{1, column}, {1, row}});
      return index;
    }
    index.groups.insert(index.groups.end(), {{nest_.rowDims, row}, {1, column}});
    index.mask = lanes == kVectorLanes ? nullptr : e.laneMask(lanes);
    return index;
  }

  TileKernels &tiles_;
  Emit &e;
  const BlockedNest &nest_;
  BlockedNest::Scratch map_;
  BlockedNest::Operand rows_; // as tiles read them
  std::vector<TileRun> rowRuns_, panelRuns_;
  llvm::Value *scratch_ = nullptr, *buffers_ = nullptr;
};

} // namespace

void emitNest(TileKernels &tiles, const BlockedNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand) {
  BlockedEmitter(tiles, nest).emit(rowOperand, columnOperand);
}

} // namespace gradc
