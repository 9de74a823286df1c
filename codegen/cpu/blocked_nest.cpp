#include "codegen/cpu/blocked_nest.h"

#include <fmt/format.h>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/panel.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
/// An operand that large does not stay in the second cache from one use to the next.
constexpr int64_t kFarBytes = 2 << 20;
/// Depths between two rounds of prefetching.
constexpr int64_t kChunk = BlockedNest::kDepthUnit;

class BlockedEmitter {
public:
  BlockedEmitter(TileKernels &tiles, const BlockedNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), map_(nest.scratch()),
        rowRuns_(balancedTiles(nest.rows, nest.tile.rows)),
        panelRuns_(balancedTiles(nest.columns, nest.tile.vectors)) {
    if (nest.lastLanes == kVectorLanes || panelRuns_.back().count == 1)
      return;
    TileRun last = panelRuns_.back(); // the panel with the partial vector is code of its own
    panelRuns_.back().count -= 1;
    last.start = panelRuns_.back().end();
    last.count = 1;
    panelRuns_.push_back(last);
  }

  void emit(llvm::Value *rowOperand, llvm::Value *columnOperand) {
    scratch_ = e.scratch();
    buffers_ = e.argument(1);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t columnBlocks = ceilDiv(countTiles(panelRuns_), nest_.panels);
      Block block{rowOperand, columnOperand};
      std::tie(block.firstTile, block.endTile) =
          range(e.div(item, columnBlocks), nest_.rowTiles, countTiles(rowRuns_));
      std::tie(block.firstPanel, block.endPanel) =
          range(e.mod(item, columnBlocks), nest_.panels, countTiles(panelRuns_));
      emitBlock(block);
    });
  }

private:
  struct Block {
    llvm::Value *row, *column; // the operands at the block's first depth
    llvm::Value *firstTile = nullptr, *endTile = nullptr, *firstPanel = nullptr, *endPanel = nullptr;
  };
  /// How a tile's sums begin and where they go.
  enum class Part : uint8_t { Whole, First, Middle, Last };

  std::pair<llvm::Value *, llvm::Value *> range(llvm::Value *number, int64_t size, int64_t all) {
    llvm::Value *low = e.mul(number, size), *high = e.add(low, e.i64(size));
    return {low, e.b.CreateSelect(e.b.CreateICmpSLT(high, e.i64(all)), high, e.i64(all))};
  }

  void emitBlock(const Block &block) {
    const int64_t blocks = nest_.depthBlocks(), last = nest_.depth - (blocks - 1) * nest_.depthBlock;
    auto at = [&](llvm::Value *number) {
      Block moved = block;
      const int64_t columnStep = nest_.transposedColumns ? kFloat : nest_.columnPitch;
      moved.row = e.offset(block.row, e.mul(number, nest_.depthBlock * nest_.rowStep));
      moved.column = e.offset(block.column, e.mul(number, nest_.depthBlock * columnStep));
      return moved;
    };
    if (blocks == 1)
      return emitDepths(block, nest_.depth, Part::Whole);
    emitDepths(block, nest_.depthBlock, Part::First);
    if (blocks > 2)
      e.loop(e.i64(1), e.i64(blocks - 1), 1,
             [&](llvm::Value *k) { emitDepths(at(k), nest_.depthBlock, Part::Middle); });
    emitDepths(at(e.i64(blocks - 1)), last, Part::Last);
  }

  void emitDepths(const Block &block, int64_t depth, Part part) {
    forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &run) {
      packColumns(block, panel, column, run, depth);
    });
    if (nest_.packsRows())
      forEachTile(block, [&](llvm::Value *tile, llvm::Value *row, const TileRun &run) {
        packRows(block, tile, row, run, depth);
      });
    forEachPanel(block, [&](llvm::Value *panel, llvm::Value *column, const TileRun &panelRun) {
      forEachTile(block, [&](llvm::Value *tile, llvm::Value *row, const TileRun &rowRun) {
        callTile(block, {tile, row, rowRun}, {panel, column, panelRun}, depth, part);
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
  llvm::Value *panelAt(llvm::Value *panel) { return e.offset(scratch_, e.mul(panel, nest_.panelBytes())); }
  llvm::Value *packedRowsAt(llvm::Value *tile) {
    return e.offset(scratch_,
                    e.add(e.i64(map_.rows), e.mul(tile, nest_.tile.rows * nest_.depthBlock * kFloat)));
  }

  /// A function of its own, so that it is emitted once.
  void packColumns(const Block &block, llvm::Value *panel, llvm::Value *column, const TileRun &run,
                   int64_t depth) {
    const int64_t step = nest_.transposedColumns ? kVectorLanes * nest_.columnPitch : kVector;
    TileKernels::Args args{panelAt(panel), e.offset(block.column, e.mul(column, step)), buffers_, {}};
    tiles_.call(fmt::format("pack{}x{}{}", run.size, depth, isLast(run) ? "m" : ""), args,
                [&](const TileKernels::Args &inner) {
                  const int64_t pitch = nest_.tile.vectors * kVector;
                  const int64_t width =
                      (run.size - 1) * kVectorLanes + (isLast(run) ? nest_.lastLanes : kVectorLanes);
                  if (nest_.transposedColumns)
                    emitPanelTranspose(e, inner.column, nest_.columnPitch, width, depth, inner.row, pitch);
                  else
                    emitPanelCopy(e, inner.column, nest_.columnPitch, depth, width, inner.row, pitch);
                });
  }

  /// The rows of a tile: side by side, depth by depth, where they are neighbours, else one after the other.
  void packRows(const Block &block, llvm::Value *tile, llvm::Value *row, const TileRun &run, int64_t depth) {
    TileKernels::Args args{
        packedRowsAt(tile), e.offset(block.row, e.mul(row, nest_.rowStride)), buffers_, {}};
    tiles_.call(fmt::format("rows{}x{}", run.size, depth), args, [&](const TileKernels::Args &inner) {
      if (nest_.turnedRows())
        emitPanelCopy(e, inner.column, nest_.rowStep, depth, run.size, inner.row, run.size * kFloat);
      else
        emitPanelCopy(e, inner.column, nest_.rowStride, run.size, depth, inner.row,
                      nest_.depthBlock * kFloat);
    });
  }

  struct Place {
    llvm::Value *number, *start; // within the block; the first row or column
    const TileRun &run;
  };

  void callTile(const Block &block, const Place &tile, const Place &panel, int64_t depth, Part part) {
    TileKernels::Args args{nest_.packsRows() ? packedRowsAt(tile.number)
                                             : e.offset(block.row, e.mul(tile.start, nest_.rowStride)),
                           panelAt(panel.number),
                           buffers_,
                           {tile.start, panel.start}};
    llvm::Value *sum = e.add(e.mul(tile.number, nest_.panels), panel.number);
    args.partials = e.offset(scratch_, e.add(e.i64(map_.sums), e.mul(sum, nest_.sumBytes())));
    if (part == Part::First || part == Part::Middle)
      addNextBlock(block, tile, panel, args.numbers);
    constexpr std::string_view names[] = {"", "first", "middle", "last"};
    tiles_.call(fmt::format("{}x{}x{}{}{}", tile.run.size, panel.run.size, depth,
                            isLast(panel.run) ? "m" : "", names[static_cast<size_t>(part)]),
                args,
                [&](const TileKernels::Args &inner) { tileBody(inner, tile.run, panel.run, depth, part); });
  }

  /// What is packed row by row out of a large operand comes from far away: while a block is computed, each tile
  /// fetches its share of the next one into the second cache.
  bool fetchesColumns() const {
    return !nest_.transposedColumns && nest_.depth * nest_.columnPitch > kFarBytes;
  }
  int64_t columnShare() const { return ceilDiv(nest_.depthBlock, nest_.rowTiles * kChunk) * kChunk; }
  /// In depths, or in rows where each chunk takes its part of them.
  int64_t rowShare() const {
    return copiesRows() ? ceilDiv(nest_.tile.rows, nest_.panels)
                        : ceilDiv(nest_.depthBlock, nest_.panels * kChunk) * kChunk;
  }
  bool copiesRows() const { return nest_.packsRows() && !nest_.turnedRows(); }

  void addNextBlock(const Block &block, const Place &tile, const Place &panel, Values &numbers) {
    auto depthOf = [&](llvm::Value *share, int64_t size) {
      return e.add(e.mul(share, size), e.i64(nest_.depthBlock));
    };
    if (fetchesColumns()) {
      llvm::Value *depth = depthOf(tile.number, columnShare());
      numbers.push_back(
          e.offset(e.offset(block.column, e.mul(depth, nest_.columnPitch)), e.mul(panel.start, kVector)));
    }
    if (nest_.packsRows()) {
      llvm::Value *row = copiesRows() ? e.add(tile.start, e.mul(panel.number, rowShare())) : tile.start;
      llvm::Value *depth = copiesRows() ? e.i64(nest_.depthBlock) : depthOf(panel.number, rowShare());
      numbers.push_back(
          e.offset(e.offset(block.row, e.mul(depth, nest_.rowStep)), e.mul(row, nest_.rowStride)));
    }
  }

  void prefetch(llvm::Value *address) {
    constexpr int kRead = 0, kSecondCache = 2, kData = 1;
    e.b.CreateIntrinsic(llvm::Intrinsic::prefetch, {address->getType()},
                        {address, e.b.getInt32(kRead), e.b.getInt32(kSecondCache), e.b.getInt32(kData)});
  }

  /// The share of one chunk: some depths of the panel's vectors, some depths of the tile's rows.
  void fetchChunk(const TileKernels::Args &args, llvm::Value *chunk, int64_t chunks) {
    size_t next = 2;
    if (fetchesColumns()) {
      const int64_t depths = ceilDiv(columnShare(), chunks);
      llvm::Value *from = e.offset(args.numbers[next++], e.mul(chunk, depths * nest_.columnPitch));
      for (int64_t k = 0; k < depths; ++k)
        for (int64_t j = 0; j < nest_.tile.vectors; ++j)
          prefetch(e.offset(from, k * nest_.columnPitch + j * kVector));
    }
    if (copiesRows()) { // a line of each row
      llvm::Value *from = e.offset(args.numbers[next], e.mul(chunk, kChunk * nest_.rowStep));
      for (int64_t i = 0; i < rowShare(); ++i)
        prefetch(e.offset(from, i * nest_.rowStride));
    } else if (nest_.packsRows()) {
      const int64_t depths = ceilDiv(rowShare(), chunks);
      llvm::Value *from = e.offset(args.numbers[next], e.mul(chunk, depths * nest_.rowStep));
      for (int64_t k = 0; k < depths; ++k)
        prefetch(e.offset(from, k * nest_.rowStep));
    }
  }

  Values multiply(const TileKernels::Args &args, const RegisterTileShape &shape, int64_t rowStep,
                  int64_t depth, bool fetches, Values sums) {
    const int64_t columnStep = nest_.tile.vectors * kVector;
    auto some = [&](int64_t depths, llvm::Value *row, llvm::Value *column, Values from) {
      return emitRegisterTile(e, shape, Reduction::loop(depths, rowStep, columnStep, Reduction::step()), row,
                              column, {}, std::move(from));
    };
    const int64_t chunks = depth / kChunk;
    if (!fetches || depth % kChunk != 0 || !(fetchesColumns() || nest_.packsRows()))
      return some(depth, args.row, args.column, std::move(sums));
    return e.count(chunks, sums, [&](llvm::Value *chunk, const Values &carried) {
      fetchChunk(args, chunk, chunks);
      return some(kChunk, e.offset(args.row, e.mul(chunk, kChunk * rowStep)),
                  e.offset(args.column, e.mul(chunk, kChunk * columnStep)), carried);
    });
  }

  void tileBody(const TileKernels::Args &args, const TileRun &rowRun, const TileRun &panelRun, int64_t depth,
                Part part) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < rowRun.size; ++i)
      shape.rowOffsets.push_back(i * (copiesRows() ? nest_.depthBlock * kFloat : nest_.rowStride));
    for (int64_t j = 0; j < panelRun.size; ++j)
      shape.columnOffsets.push_back(j * kVector);
    std::vector<TileVector> tile;
    for (int64_t i = 0; i < rowRun.size; ++i)
      for (int64_t j = 0; j < panelRun.size; ++j)
        tile.push_back(
            {nullptr, indexOf(args, i, j,
                              isLast(panelRun) && j + 1 == panelRun.size ? nest_.lastLanes : kVectorLanes)});
    const bool finishes = part == Part::Whole || part == Part::Last;
    if (finishes)
      tiles_.store.prefetch(tile);
    llvm::Type *type = e.vectorType(DType::F32);
    Values sums = zeroAccumulators(e, shape);
    if (part == Part::Middle || part == Part::Last)
      for (size_t i = 0; i < sums.size(); ++i)
        sums[i] = e.b.CreateAlignedLoad(type, e.offset(args.partials, static_cast<int64_t>(i) * kVector),
                                        llvm::Align(kFloat));
    const int64_t rowStep = nest_.turnedRows() ? rowRun.size * kFloat : kFloat;
    sums = multiply(args, shape, rowStep, depth, !finishes, std::move(sums));
    for (size_t i = 0; i < sums.size(); ++i)
      if (finishes)
        tile[i].lanes = sums[i];
      else
        e.b.CreateAlignedStore(sums[i], e.offset(args.partials, static_cast<int64_t>(i) * kVector),
                               llvm::Align(kFloat));
    if (finishes)
      tiles_.store.store(tile);
  }

  LaneIndex indexOf(const TileKernels::Args &args, int64_t i, int64_t j, int lanes) {
    LaneMath math(e);
    LaneValue row = math.uniform(e.add(args.numbers[0], e.i64(i)));
    LaneValue column = math.consecutive(e.mul(e.add(args.numbers[1], e.i64(j)), kVectorLanes), kVectorLanes);
    return {{{nest_.rowDims, row}, {1, column}}, lanes == kVectorLanes ? nullptr : e.laneMask(lanes)};
  }

  TileKernels &tiles_;
  Emit &e;
  const BlockedNest &nest_;
  BlockedNest::Scratch map_;
  std::vector<TileRun> rowRuns_, panelRuns_;
  llvm::Value *scratch_ = nullptr, *buffers_ = nullptr;
};

} // namespace

void emitNest(TileKernels &tiles, const BlockedNest &nest, llvm::Value *rowOperand,
              llvm::Value *columnOperand) {
  BlockedEmitter(tiles, nest).emit(rowOperand, columnOperand);
}

} // namespace gradc
