#include <fmt/format.h>

#include "codegen/cpu/amx/tile_emulation.h"
#include "codegen/cpu/amx/tile_matmul_emulated.h"
#include "codegen/cpu/transpose.h"

namespace gradc {

KernelStep StripMatmul::emitPacking(int columnBuffer) {
  return TileMatmulParts::emitPacking(columnBuffer, TileForm::Rows);
}

KernelStep StripMatmul::emitProduct(int rowBuffer) {
  const TileMatrix &matrix = plan.rowMatrix;
  KernelStep step{.symbol = k.symbol, .items = ceilDiv(matrix.rows, kStrip), .scratchBytes = sumBytes()};
  e.beginKernel(step.symbol);
  llvm::Value *source = e.buffer(rowBuffer), *packed = e.buffer(k.workspaceBuffer());
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *strip) {
    llvm::Value *first = e.mul(strip, kStrip);
    emitPanelSwitch(e, strip, matrix.rows, kStrip, [&](int64_t rows) {
      emitStrip(e.offset(source, e.mul(strip, kStrip / kTileRows * matrix.rowBlock)), packed, first, rows);
    });
  });
  e.endFunction();
  return step;
}

void StripMatmul::emitStrip(llvm::Value *source, llvm::Value *packed, llvm::Value *first, int64_t rows) {
  e.clear(e.scratch(), sumBytes() / kCacheLine, kCacheLine);
  forChunks(plan.rowMatrix.depth, e.i64(0), e.i64(chunks), [&](llvm::Value *number, int64_t depth) {
    const TileKernels::Args args{e.offset(source, e.mul(number, 2 * plan.rowMatrix.depthBlock)),
                                 e.offset(packed, e.mul(number, chunkBytes())),
                                 e.argument(1),
                                 {},
                                 e.scratch()};
    tiles.call(fmt::format("add{}x{}", rows, depth), args,
               [&](const TileKernels::Args &a) { add(a, rows, depth); });
  });
  const int64_t columns = plan.columnMatrix.rows;
  for (int64_t column = 0; column < columns; column += kTileRows) {
    const int64_t width = std::min(kTileRows, columns - column);
    auto vector = [&](llvm::Value *row, int64_t count) {
      llvm::Value *sums = e.offset(e.offset(e.scratch(), column * kStripPitch), e.mul(row, 4));
      tiles.call(fmt::format("finish{}x{}", count, width),
                 {source, packed, e.argument(1), {e.add(first, row), e.i64(column)}, sums},
                 [&](const TileKernels::Args &a) { finish(a, count, width); });
    };
    const int64_t rest = rows % kTileRows;
    e.loop(e.i64(0), e.i64(rows - rest), kTileRows, [&](llvm::Value *row) { vector(row, kTileRows); });
    if (rest)
      vector(e.i64(rows - rest), rest);
  }
}

/// A piece of the depth, by all columns.
void StripMatmul::add(const TileKernels::Args &args, int64_t rows, int64_t depth) {
  llvm::Value *packed = e.stack(kTileBytes, kCacheLine);
  emitFlushing(e, [&] {
    std::vector<RowProducts> products;
    for (int64_t tile = 0; tile < columnTiles(); ++tile)
      products.emplace_back(e, RowProducts::Shape{.sumPitch = kStripPitch},
                            e.offset(args.column, placeOfTile(tile)));
    llvm::Value *ahead = e.offset(args.row, 2 * plan.rowMatrix.depthBlock);
    auto vector = [&](llvm::Value *number, int64_t count) {
      for (int64_t line = 0; line < ceilDiv(rows, kTileRows); ++line)
        emitPrefetch(e,
                     e.offset(e.offset(ahead, e.mul(number, plan.rowMatrix.depthStride)), line * kCacheLine),
                     Cache::L1);
      emitPackTile(e, plan.rowMatrix, {.form = TileForm::Ordered, .fetches = false},
                   e.offset(args.row, e.mul(number, plan.rowMatrix.rowBlock)), count, depth, packed);
      for (int64_t tile = 0; tile < columnTiles(); ++tile)
        products[tile].multiply(packed, e.offset(e.offset(args.partials, tile * kTileRows * kStripPitch),
                                                 e.mul(number, kTilePitch)));
    };
    e.loop(e.i64(0), e.i64(rows / kTileRows), 1, [&](llvm::Value *number) { vector(number, kTileRows); });
    if (rows % kTileRows)
      vector(e.i64(rows / kTileRows), rows % kTileRows);
  });
}

/// 16 rows of sums by one tile of columns, which are its lanes in the result.
void StripMatmul::finish(const TileKernels::Args &args, int64_t rows, int64_t columns) {
  llvm::Value *turned = e.stack(kTileBytes, kCacheLine);
  Values sums;
  for (int64_t column = 0; column < kTileRows; ++column)
    sums.push_back(e.b.CreateAlignedLoad(
        e.vectorType(DType::F32), e.offset(args.partials, column * kStripPitch), llvm::Align(kCacheLine)));
  transpose16(e, sums);
  for (int64_t row = 0; row < rows; ++row)
    e.b.CreateAlignedStore(sums[row], e.offset(turned, row * kTilePitch), llvm::Align(kCacheLine));
  emitStoreRows(e, store, turned, kTilePitch, rows,
                [&](llvm::Value *row) { return indicesOf(args, row, columns); });
}

} // namespace gradc
