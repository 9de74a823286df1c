// Products whose depth is so large that not even a few panels of both operands fit the cache: gradients towards weights.
// An item is some panels of rows by some of columns. It goes through the depth block by block, packs the rows' part of a
// block once for all of its columns, and adds to sums that wait in scratch memory, unrounded.
#include <fmt/format.h>

#include "codegen/cpu/amx/tile_matmul_parts.h"

namespace gradc {

KernelStep DeepMatmul::emitProduct(int rowBuffer) {
  const int64_t rowGroups = ceilDiv(rowPanels(), plan.groupRows);
  KernelStep step{.symbol = k.symbol,
                  .items = batches * columnGroups() * rowGroups,
                  .scratchBytes = sumBytes() + plan.groupRows * plan.blockChunks * chunkBytes()};
  e.beginKernel(step.symbol);
  llvm::Value *source = e.buffer(rowBuffer), *packed = e.buffer(k.workspaceBuffer());
  emitTileBegin(e);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *number) {
    llvm::Value *rest = e.div(number, rowGroups), *batch = e.div(rest, columnGroups());
    Item item{};
    item.rows = e.mul(e.mod(number, rowGroups), plan.groupRows);
    item.rowEnd = e.atMost(e.add(item.rows, e.i64(plan.groupRows)), rowPanels());
    item.columns = e.mul(e.mod(rest, columnGroups()), plan.groupPanels);
    item.columnEnd = e.atMost(e.add(item.columns, e.i64(plan.groupPanels)), columnPanels());
    item.batch = decodeBatch(batch);
    item.source = atBatch(source, item.batch, true);
    item.packed = e.offset(packed, e.mul(batch, columnPanels() * panelBytes()));
    emitItem(item);
  });
  emitTileEnd(e);
  e.endFunction();
  return step;
}

llvm::Value *DeepMatmul::sumsOf(const Item &item, llvm::Value *row, llvm::Value *column) {
  llvm::Value *number =
      e.add(e.mul(e.b.CreateSub(row, item.rows), plan.groupPanels), e.b.CreateSub(column, item.columns));
  return e.offset(e.scratch(), e.mul(number, kSumBytes));
}

/// The packed block of a panel of rows.
llvm::Value *DeepMatmul::rowsOf(const Item &item, llvm::Value *row) {
  llvm::Value *number = e.b.CreateSub(row, item.rows);
  return e.offset(e.offset(e.scratch(), sumBytes()), e.mul(number, plan.blockChunks * chunkBytes()));
}

void DeepMatmul::emitItem(const Item &item) {
  e.clear(e.scratch(), sumBytes() / kTilePitch, kTilePitch);
  e.loop(e.i64(0), e.i64(chunks), plan.blockChunks, [&](llvm::Value *low) {
    emitBlock(item, low, e.atMost(e.add(low, e.i64(plan.blockChunks)), chunks));
  });
  e.loop(item.rows, item.rowEnd, 1, [&](llvm::Value *row) {
    e.loop(item.columns, item.columnEnd, 1, [&](llvm::Value *column) { storePanels(item, row, column); });
  });
}

/// Chunks low … high of the depth.
void DeepMatmul::emitBlock(const Item &item, llvm::Value *low, llvm::Value *high) {
  const int64_t pitch = plan.blockChunks * chunkBytes();
  llvm::Value *chunk0 = e.offset(rowsOf(item, item.rows), e.mul(e.b.CreateNeg(low), chunkBytes()));
  packRowPanels(item.source, {item.rows, plan.groupRows}, chunk0, pitch, low, high);
  e.loop(item.columns, item.columnEnd, 1, [&](llvm::Value *column) {
    e.loop(item.rows, item.rowEnd, 1, [&](llvm::Value *row) { addPanels(item, row, column, low, high); });
  });
}

void DeepMatmul::addPanels(const Item &item, llvm::Value *row, llvm::Value *column, llvm::Value *low,
                           llvm::Value *high) {
  llvm::Value *columns = e.offset(item.packed, e.add(e.mul(column, panelBytes()), e.mul(low, chunkBytes())));
  const TileKernels::Args args{
      rowsOf(item, row), columns, e.argument(1), {e.b.CreateSub(high, low)}, sumsOf(item, row, column)};
  switchRows(row, [&](int64_t rows) {
    switchColumns(column, [&](int64_t width) {
      const TileBlock block = blockOf(rows, width);
      tiles.call(fmt::format("add{}x{}", block.rowTiles, block.columnTiles), args,
                 [&](const TileKernels::Args &a) {
                   TileProduct product(e, block, a.partials);
                   product.resume();
                   e.loop(e.i64(0), a.numbers[0], 1, {a.row, a.column}, [&](llvm::Value *, const Values &at) {
                     product.step(at[0], at[1]);
                     return Values{e.offset(at[0], chunkBytes()), e.offset(at[1], chunkBytes())};
                   });
                   product.store();
                 });
    });
  });
}

void DeepMatmul::storePanels(const Item &item, llvm::Value *row, llvm::Value *column) {
  TileKernels::Args args{item.source, item.packed, e.argument(1), item.batch, sumsOf(item, row, column)};
  args.numbers.push_back(e.mul(row, kPanelRows));
  args.numbers.push_back(e.mul(column, kPanelRows));
  switchRows(row, [&](int64_t rows) {
    switchColumns(column, [&](int64_t columns) {
      tiles.call(fmt::format("store{}x{}", rows, columns), args, [&](const TileKernels::Args &a) {
        emitStoreRows(e, store, a.partials, kSumPitch, rows,
                      [&](llvm::Value *i) { return indicesOf(a, i, columns); });
      });
    });
  });
}

} // namespace gradc
