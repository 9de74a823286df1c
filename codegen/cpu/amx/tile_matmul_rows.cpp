#include <fmt/format.h>

#include "codegen/cpu/amx/tile_emulation.h"
#include "codegen/cpu/amx/tile_matmul_emulated.h"

namespace gradc {

KernelStep RowMatmul::emitPacking(int columnBuffer) {
  return TileMatmulParts::emitPacking(columnBuffer, TileForm::Ordered);
}

/// An item is a panel of rows.
KernelStep RowMatmul::emitProduct(int rowBuffer) {
  const int64_t full = plan.rowMatrix.depth / kBlock, rest = plan.rowMatrix.depth % kBlock;
  KernelStep step{.symbol = k.symbol, .items = rowPanels(), .scratchBytes = sumBytes() + 2 * packedBytes()};
  e.beginKernel(step.symbol);
  source_ = e.buffer(rowBuffer);
  columns_ = e.buffer(k.workspaceBuffer());
  const int64_t firstSize = full ? kBlock : rest;
  pack({e.itemBegin(), e.i64(0), firstSize});
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *panel) {
    e.clear(e.scratch(), sumBytes() / kCacheLine, kCacheLine);
    const Block next{e.add(panel, e.i64(1)), e.i64(0), firstSize};
    if (full > 1)
      e.loop(e.i64(0), e.i64(full - 1), 1, [&](llvm::Value *number) {
        add({panel, number, kBlock}, {panel, e.add(number, e.i64(1)), kBlock});
      });
    const Block last{panel, e.i64(full), rest};
    if (full)
      add({panel, e.i64(full - 1), kBlock}, rest ? last : next);
    if (rest)
      add(last, next);
    finish(panel);
  });
  e.endFunction();
  return step;
}

llvm::Value *RowMatmul::packedOf(const Block &block) {
  llvm::Value *number = e.add(e.mul(block.panel, ceilDiv(plan.rowMatrix.depth, kBlock)), block.number);
  return e.offset(e.offset(e.scratch(), sumBytes()), e.mul(e.mod(number, 2), packedBytes()));
}

llvm::Value *RowMatmul::sourceOf(const Block &block) {
  return e.offset(source_, e.mul(block.number, blockBytes()));
}

/// Row `row` of a panel's block. Beyond the last row of the matrix, as in a panel behind the last, that one is packed again.
void RowMatmul::packOne(llvm::Value *source, llvm::Value *first, llvm::Value *row, int64_t depth,
                        llvm::Value *target) {
  const TileMatrix &matrix = plan.rowMatrix;
  llvm::Value *from = e.offset(source, e.mul(e.atMost(e.add(first, row), matrix.rows - 1), matrix.rowStride));
  llvm::Value *to = e.offset(target, e.mul(row, kTilePitch));
  forChunks(depth, e.i64(0), e.i64(ceilDiv(depth, kTileDepth)), [&](llvm::Value *number, int64_t size) {
    emitPackRow(e, matrix, {TileForm::Rows}, e.offset(from, e.mul(number, 2 * matrix.depthBlock)), size,
                e.offset(to, e.mul(number, kPanelTiles * kTileBytes)));
  });
}

void RowMatmul::pack(const Block &block) {
  e.count(kPanelRows, [&](llvm::Value *row) {
    packOne(sourceOf(block), e.mul(block.panel, kPanelRows), row, block.depth, packedOf(block));
  });
}

/// Adds the products of a block, and packs the next one.
void RowMatmul::add(const Block &block, const Block &next) {
  const TileKernels::Args args{packedOf(block),
                               e.offset(columns_, e.mul(block.number, kBlock / kTileDepth * chunkBytes())),
                               e.argument(1),
                               {sourceOf(next), e.mul(next.panel, kPanelRows), packedOf(next)},
                               e.scratch()};
  tiles.call(fmt::format("add{}and{}", block.depth, next.depth), args,
             [&](const TileKernels::Args &a) { multiply(a, block.depth, next.depth); });
}

/// Behind the products of every 8 rows some rows of the next block are packed, and others are fetched for later: as far as
/// a processor looks ahead.
void RowMatmul::multiply(const TileKernels::Args &args, int64_t depth, int64_t nextDepth) {
  constexpr int64_t kRows = 8, kGroups = kPanelRows / kRows, kAhead = 16;
  const int64_t chunkCount = ceilDiv(depth, kTileDepth),
                packedRows = ceilDiv(kPanelRows, chunkCount * kGroups);
  llvm::Value *source = args.numbers[0], *first = args.numbers[1], *target = args.numbers[2];
  auto prepare = [&](llvm::Value *row) {
    packOne(source, first, row, nextDepth, target);
    llvm::Value *later = e.add(row, e.i64(kAhead));
    llvm::Value *wraps = e.b.CreateICmpSGE(later, e.i64(kPanelRows));
    llvm::Value *ahead =
        e.offset(e.b.CreateSelect(
                     wraps, e.offset(source, blockBytes() - kPanelRows * plan.rowMatrix.rowStride), source),
                 e.mul(e.add(first, later), plan.rowMatrix.rowStride));
    for (int64_t at = 0; at < blockBytes(); at += kCacheLine)
      emitPrefetch(e, e.offset(ahead, at), Cache::L1);
  };
  emitFlushing(e, [&] {
    e.count(chunkCount, [&](llvm::Value *chunk) {
      e.count(kGroups, [&](llvm::Value *group) {
        llvm::Value *rows = e.offset(e.offset(args.row, e.mul(chunk, kPanelTiles * kTileBytes)),
                                     e.mul(group, kRows * kTilePitch));
        RowProducts products(e, {.rows = kRows, .sumPitch = sumPitch()}, rows);
        for (int64_t tile = 0; tile < columnTiles(); ++tile)
          products.multiply(
              e.offset(e.offset(args.column, placeOfTile(tile)), e.mul(chunk, chunkBytes())),
              e.offset(e.offset(args.partials, tile * kTilePitch), e.mul(group, kRows * sumPitch())));
        llvm::Value *low = e.mul(e.add(e.mul(chunk, kGroups), group), packedRows);
        e.loop(low, e.atMost(e.add(low, e.i64(packedRows)), kPanelRows), 1, prepare);
      });
    });
  });
}

void RowMatmul::finish(llvm::Value *panel) {
  const TileKernels::Args args{
      source_, columns_, e.argument(1), {e.mul(panel, kPanelRows), e.i64(0)}, e.scratch()};
  switchRows(panel, [&](int64_t rows) {
    tiles.call(fmt::format("finish{}", rows), args, [&](const TileKernels::Args &a) {
      emitStoreRows(e, store, a.partials, sumPitch(), rows,
                    [&](llvm::Value *row) { return indicesOf(a, row, plan.columnMatrix.rows); });
    });
  });
}

} // namespace gradc
