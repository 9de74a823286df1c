#include "codegen/cpu/amx/tile_matmul_parts.h"

#include "codegen/cpu/tile_unit.h"

namespace gradc {

TileMatmulParts::TileMatmulParts(KernelContext &k, const TileMatmul &plan, EpilogueStore &store)
    : k(k), e(k.e), plan(plan), store(store), tiles(k.e, store, k.symbol),
      chunks(ceilDiv(plan.rowMatrix.depth, kTileDepth)) {
  for (const TileMatmul::Batch &batch : plan.batches)
    batches *= batch.size;
}

Values TileMatmulParts::decodeBatch(llvm::Value *batch) {
  Values numbers(plan.batches.size());
  for (size_t i = numbers.size(); i-- > 0;) {
    numbers[i] = i == 0 ? batch : e.mod(batch, plan.batches[i].size);
    batch = e.div(batch, plan.batches[i].size);
  }
  return numbers;
}

llvm::Value *TileMatmulParts::atBatch(llvm::Value *operand, const Values &numbers, bool rows) {
  for (size_t i = 0; i < numbers.size(); ++i)
    operand =
        e.offset(operand, e.mul(numbers[i], rows ? plan.batches[i].rowStride : plan.batches[i].columnStride));
  return operand;
}

bool TileMatmulParts::ordersColumns() const { return hasDots(e.target) && plan.pieces == 1; }

KernelStep TileMatmulParts::emitPacking(int columnBuffer, TileForm form) {
  constexpr double kSecondsPerTile = 30e-9;
  constexpr int64_t kItemChunks = 8, kEnoughItems = 16;
  const int64_t parts = ceilDiv(chunks, kItemChunks);
  // All panels together, where their number is not needed for items: memory is read as it lies.
  const int64_t groupPanels = batches * parts >= kEnoughItems ? columnPanels() : 1;
  const int64_t groups = columnPanels() / groupPanels;
  const TileMatrix &matrix = plan.columnMatrix;
  KernelStep step{.symbol = k.symbol + ".pack", .items = batches * groups * parts};
  step.work =
      kSecondsPerTile * static_cast<double>(batches * ceilDiv(matrix.rows, kTileRows) * chunks * plan.pieces);
  e.beginKernel(step.symbol);
  llvm::Value *source = e.buffer(columnBuffer), *target = e.buffer(k.workspaceBuffer());
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    llvm::Value *low = e.mul(e.mod(item, parts), kItemChunks);
    llvm::Value *high = e.atMost(e.add(low, e.i64(kItemChunks)), chunks);
    llvm::Value *rest = e.div(item, parts), *batch = e.div(rest, groups);
    const Panels panels{e.mul(e.mod(rest, groups), groupPanels), groupPanels};
    llvm::Value *to =
        e.offset(target, e.mul(e.add(e.mul(batch, columnPanels()), panels.first), panelBytes()));
    packTiles(matrix, form, atBatch(source, decodeBatch(batch), false), panels, to, panelBytes(), low, high);
  });
  e.endFunction();
  return step;
}

void TileMatmulParts::packRowPanels(llvm::Value *source, const Panels &panels, llvm::Value *target,
                                    int64_t pitch, llvm::Value *low, llvm::Value *high) {
  if (!plan.rowMatrix.depthContiguous())
    return packTiles(plan.rowMatrix, TileForm::Rows, source, panels, target, pitch, low, high);
  forPanels(plan.rowMatrix, panels, source, target, pitch,
            [&](llvm::Value *from, llvm::Value *to, int64_t rows) { packRows(from, to, rows, low, high); });
}

/// f(where it lies, where it is packed, its rows)
void TileMatmulParts::forPanels(const TileMatrix &matrix, const Panels &panels, llvm::Value *source,
                                llvm::Value *target, int64_t pitch, const OnPanel &f) {
  e.count(panels.count, [&](llvm::Value *i) {
    llvm::Value *number = e.add(panels.first, i);
    auto here = [&] {
      emitPanelSwitch(e, number, matrix.rows, kPanelRows, [&](int64_t rows) {
        f(panelAt(matrix, source, number), e.offset(target, e.mul(i, pitch)), rows);
      });
    };
    if (ceilDiv(matrix.rows, kPanelRows) % panels.count == 0)
      return here();
    emitIf(e, e.b.CreateICmpSLT(number, e.i64(ceilDiv(matrix.rows, kPanelRows))), here, [] {});
  });
}

/// f(number of a chunk, its depth) for chunks low … high.
void TileMatmulParts::forChunks(int64_t depth, llvm::Value *low, llvm::Value *high, const OnChunk &f) {
  const int64_t full = depth / kTileDepth, rest = depth % kTileDepth;
  if (full)
    e.loop(low, rest ? e.atMost(high, full) : high, 1, [&](llvm::Value *number) { f(number, kTileDepth); });
  if (rest)
    emitIf(
        e, e.b.CreateICmpEQ(high, e.i64(full + 1)), [&] { f(e.i64(full), rest); }, [] {});
}

void TileMatmulParts::packRow(llvm::Value *source, llvm::Value *target, llvm::Value *row, llvm::Value *low,
                              llvm::Value *high) {
  const TilePacking packing{TileForm::Rows, plan.pieces, kPanelTiles * kTileBytes};
  const TileMatrix &matrix = plan.rowMatrix;
  llvm::Value *from = e.offset(source, e.mul(row, matrix.rowStride));
  llvm::Value *to = e.offset(target, e.mul(row, kTilePitch));
  forChunks(matrix.depth, low, high, [&](llvm::Value *number, int64_t depth) {
    llvm::Value *here = e.offset(from, e.mul(number, 2 * matrix.depthBlock));
    const int64_t halves =
        matrix.depthBlock < kCacheLine ? 1 : 2;   // those of a chunk that have lines of their own
    for (int64_t half = 0; half < halves; ++half) // of the chunk after the next one
      emitPrefetch(e, e.offset(here, (4 + half) * matrix.depthBlock), Cache::L1);
    emitPackRow(e, matrix, packing, here, depth, e.offset(to, e.mul(number, chunkBytes())));
  });
}

/// Row by row: memory is read as a stream.
void TileMatmulParts::packRows(llvm::Value *source, llvm::Value *target, int64_t rows, llvm::Value *low,
                               llvm::Value *high) {
  e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) { packRow(source, target, row, low, high); });
  llvm::Constant *zero = llvm::Constant::getNullValue(e.vectorType(DType::F32));
  if (rows % kTileRows != 0)
    e.loop(e.i64(rows), e.i64(ceilDiv(rows, kTileRows) * kTileRows), 1, [&](llvm::Value *row) {
      e.loop(e.mul(low, plan.pieces), e.mul(high, plan.pieces), 1, [&](llvm::Value *piece) {
        e.b.CreateAlignedStore(
            zero, e.offset(target, e.add(e.mul(row, kTilePitch), e.mul(piece, kPanelTiles * kTileBytes))),
            llvm::Align(64));
      });
    });
}

/// Tiles side by side. Where the depth's neighbours are rows of memory, all panels of a chunk before the next one, so
/// that these rows are read as streams.
void TileMatmulParts::packTiles(const TileMatrix &matrix, TileForm form, llvm::Value *source,
                                const Panels &panels, llvm::Value *target, int64_t pitch, llvm::Value *low,
                                llvm::Value *high) {
  const TilePacking packing{form, plan.pieces, kPanelTiles * kTileBytes};
  auto pack = [&](llvm::Value *number, int64_t depth, llvm::Value *from, llvm::Value *to, int64_t rows) {
    for (int64_t first = 0; first < rows; first += kTileRows)
      emitPackTile(e, matrix, packing,
                   e.offset(from, e.add(e.mul(number, 2 * matrix.depthBlock),
                                        e.i64(first / kTileRows * matrix.rowBlock))),
                   std::min(kTileRows, rows - first), depth,
                   e.offset(to, e.add(e.mul(number, chunkBytes()), e.i64(first * kTilePitch))));
  };
  auto all = [&](const OnPanel &f) { forPanels(matrix, panels, source, target, pitch, f); };
  if (matrix.depthContiguous())
    return all([&](llvm::Value *from, llvm::Value *to, int64_t rows) {
      forChunks(matrix.depth, low, high,
                [&](llvm::Value *number, int64_t depth) { pack(number, depth, from, to, rows); });
    });
  forChunks(matrix.depth, low, high, [&](llvm::Value *number, int64_t depth) {
    all([&](llvm::Value *from, llvm::Value *to, int64_t rows) { pack(number, depth, from, to, rows); });
  });
}

TileBlock TileMatmulParts::blockOf(int64_t rows, int64_t columns) const {
  TileBlock block{.rowTiles = static_cast<int>(ceilDiv(rows, kTileRows)),
                  .columnTiles = static_cast<int>(ceilDiv(columns, kTileRows)),
                  .pieces = plan.pieces,
                  .columnsAreLhs = plan.columnOperand == 0};
  block.ordered = ordersColumns();
  block.a.pieceStride = block.b.pieceStride = kPanelTiles * kTileBytes;
  return block;
}

std::vector<LaneIndex> TileMatmulParts::indicesOf(const TileKernels::Args &args, llvm::Value *row,
                                                  int64_t columns) {
  LaneMath math(e);
  const size_t batch = plan.batches.size();
  std::vector<LaneIndex> indices;
  for (int64_t first = 0; first < columns; first += kVectorLanes) {
    std::vector<LaneValue> dims(plan.rank, math.constant(0));
    for (size_t i = 0; i < batch; ++i)
      dims[plan.batches[i].axis] = math.uniform(args.numbers[i]);
    dims[plan.rowAxis] = math.uniform(e.add(args.numbers[batch], row));
    dims[plan.columnAxis] = math.consecutive(e.add(args.numbers[batch + 1], e.i64(first)), kVectorLanes);
    // In n16 the epilogue knows which examples exist.
    const bool whole = columns - first >= kVectorLanes || plan.columnAxis != plan.rank - 1;
    indices.push_back(
        LaneIndex::of(std::move(dims), whole ? nullptr : e.laneMask(static_cast<int>(columns - first))));
    indices.back().groups[plan.rowAxis].count = plan.rowDims;
  }
  return indices;
}

} // namespace gradc
