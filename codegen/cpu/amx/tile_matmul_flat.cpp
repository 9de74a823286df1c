// Products of which a panel of rows and a group of column panels, for all of the depth, fit the cache. An item is both.
// While the tile unit multiplies the rows by one panel of columns, the vector units finish the sums of the panel before and
// pack a share of the next item's rows: a little of both behind every few products, which is as far as a processor looks
// ahead.
#include <fmt/format.h>

#include "codegen/cpu/amx/tile_matmul_parts.h"

namespace gradc {

KernelStep FlatMatmul::emitProduct(int rowBuffer) {
  KernelStep step{.symbol = k.symbol,
                  .items = batches * columnGroups() * rowPanels(),
                  .scratchBytes = 2 * (kSumBytes + panelBytes())};
  e.beginKernel(step.symbol);
  source_ = e.buffer(rowBuffer);
  columns_ = e.buffer(k.workspaceBuffer());
  scratch_ = e.scratch();
  llvm::Value *begin = e.itemBegin(), *end = e.itemEnd();
  emitTileBegin(e);
  e.loop(begin, end, 1, [&](llvm::Value *number) {
    Item item = itemOf(number);
    auto pack = [&] {
      packRowPanels(item.source, {item.panel, 1}, item.packed, panelBytes(), e.i64(0), e.i64(chunks));
    };
    if (packsAhead())
      emitIf(e, e.b.CreateICmpEQ(number, begin), pack, [] {});
    else
      pack();
    llvm::Value *following = e.add(number, e.i64(1));
    const Item next = itemOf(following);
    item.ahead = {panelAt(plan.rowMatrix, next.source, next.panel), next.packed,
                  e.b.CreateSelect(e.b.CreateICmpSLT(following, end),
                                   e.atMost(rowsFrom(next.panel), kPanelRows), e.i64(0))};
    switchRows(item.panel, [&](int64_t rows) { emitColumns(item, rows); });
  });
  emitTileEnd(e);
  e.endFunction();
  return step;
}

FlatMatmul::Item FlatMatmul::itemOf(llvm::Value *number) {
  llvm::Value *rest = e.div(number, rowPanels()), *batch = e.div(rest, columnGroups());
  Item item{.panel = e.mod(number, rowPanels()),
            .first = e.mul(e.mod(rest, columnGroups()), plan.groupPanels),
            .batch = decodeBatch(batch)};
  item.end = e.atMost(e.add(item.first, e.i64(plan.groupPanels)), columnPanels());
  item.source = atBatch(source_, item.batch, true);
  item.columns = e.offset(columns_, e.mul(batch, columnPanels() * panelBytes()));
  item.packed = e.offset(e.offset(scratch_, 2 * kSumBytes), e.mul(e.mod(number, 2), panelBytes()));
  return item;
}

/// The item's panel of `rows` rows by its panels of columns.
void FlatMatmul::emitColumns(const Item &item, int64_t rows) {
  auto multiplyBy = [&](bool finishes) {
    return [=, this](const TileKernels::Args &a, int64_t columns) { multiply(a, rows, columns, finishes); };
  };
  call(item, fmt::format("first{}", rows), item.first, multiplyBy(false));
  if (plan.groupPanels > 1)
    e.loop(e.add(item.first, e.i64(1)), item.end, 1,
           [&](llvm::Value *panel) { call(item, fmt::format("next{}", rows), panel, multiplyBy(true)); });
  call(item, fmt::format("last{}", rows), e.b.CreateSub(item.end, e.i64(1)),
       [&](const TileKernels::Args &a, int64_t columns) { finish(a, a.partials, e.i64(0), rows, columns); });
}

/// Calls the function of that name for a panel of columns.
void FlatMatmul::call(const Item &item, const std::string &name, llvm::Value *panel,
                      const std::function<void(const TileKernels::Args &, int64_t columns)> &body) {
  llvm::Value *odd = e.mod(panel, 2), *even = e.b.CreateSub(e.i64(1), odd), *share = shareOf(item);
  TileKernels::Args args{item.packed, e.offset(item.columns, e.mul(panel, panelBytes())), e.argument(1),
                         item.batch, e.offset(scratch_, e.mul(odd, kSumBytes))};
  llvm::Value *low = e.b.CreateMul(e.b.CreateSub(panel, item.first), share);
  for (llvm::Value *number :
       {e.mul(item.panel, kPanelRows), e.mul(panel, kPanelRows), e.offset(scratch_, e.mul(even, kSumBytes)),
        item.ahead.source, item.ahead.target, low, e.atMost(e.add(low, share), item.ahead.rows)})
    args.numbers.push_back(number);
  switchColumns(panel, [&](int64_t columns) {
    tiles.call(fmt::format("{}x{}", name, columns), args,
               [&](const TileKernels::Args &a) { body(a, columns); });
  });
}

/// How many of the next rows are packed beside each panel of columns.
llvm::Value *FlatMatmul::shareOf(const Item &item) {
  const int64_t rest = columnPanels() - (columnGroups() - 1) * plan.groupPanels;
  return e.b.CreateSelect(e.b.CreateICmpEQ(item.end, e.i64(columnPanels())), e.i64(ceilDiv(kPanelRows, rest)),
                          e.i64(ceilDiv(kPanelRows, plan.groupPanels)));
}

/// One block of sums, chunk by chunk. `finishes`: and the sums of the panel of columns before.
void FlatMatmul::multiply(const TileKernels::Args &args, int64_t rows, int64_t columns, bool finishes) {
  announce(args, rows, columns);
  TileProduct product(e, blockOf(rows, columns), args.partials);
  product.zero();
  auto steps = [&](int64_t low, int64_t high, const Values &from, int64_t rowsEach) {
    return e.loop(e.i64(low), e.i64(high), 1, from, [&](llvm::Value *chunk, const Values &at) {
      product.step(at[0], at[1], [&](int part) {
        const Part here{chunk, part, product.parts()};
        packPart(args, here);
        finishPart(args, here, rowsEach);
      });
      return Values{e.offset(at[0], chunkBytes()), e.offset(at[1], chunkBytes())};
    });
  };
  const int64_t rowsEach = rowsWithChunk(rows), finishing = finishes ? rows / rowsEach : 0;
  Values at{args.row, args.column};
  if (finishing > 0)
    at = steps(0, finishing, at, rowsEach);
  if (finishing < chunks)
    steps(finishing, chunks, at, 0);
  product.store();
}

/// The chunk of some of the next item's rows.
void FlatMatmul::packPart(const TileKernels::Args &args, const Part &part) {
  if (!packsAhead())
    return;
  e.loop(e.add(number(args, Low), e.i64(part.number)), number(args, High), part.count, [&](llvm::Value *row) {
    packRow(number(args, Source), number(args, Target), row, part.chunk, e.add(part.chunk, e.i64(1)));
  });
}

/// Some of the rows of the panel of columns before, of which `rows` belong to the chunk.
void FlatMatmul::finishPart(const TileKernels::Args &args, const Part &part, int64_t rows) {
  TileKernels::Args before = args;
  before.numbers[plan.batches.size() + Column] = e.b.CreateSub(number(args, Column), e.i64(kPanelRows));
  const int64_t together = rows % 2 == 0 ? 2 : 1, slices = rows / together;
  for (int64_t slice = slices * part.number / part.count; slice < slices * (part.number + 1) / part.count;
       ++slice)
    finish(before, number(args, Previous), e.add(e.mul(part.chunk, rows), e.i64(slice * together)), together,
           kPanelRows);
}

/// The rows that are finished with each of the first chunks: a divisor of all, and even where that is.
int64_t FlatMatmul::rowsWithChunk(int64_t rows) const {
  int64_t each = 1;
  while (rows % each != 0 || rows / each > chunks || (each % 2 != 0 && rows % 2 == 0))
    ++each;
  return each;
}

/// Rows of sums through the epilogue.
void FlatMatmul::finish(const TileKernels::Args &args, llvm::Value *sums, llvm::Value *first, int64_t count,
                        int64_t columns) {
  emitStoreRows(e, store, sums, kSumPitch, first, count,
                [&](llvm::Value *row) { return indicesOf(args, row, columns); });
}

/// What the epilogue will read when the next panel of columns is multiplied.
void FlatMatmul::announce(const TileKernels::Args &args, int64_t rows, int64_t columns) {
  if (!store.prefetches())
    return;
  e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) {
    std::vector<TileVector> announced;
    for (LaneIndex &at : indicesOf(args, row, columns))
      announced.push_back({nullptr, std::move(at)});
    store.prefetch(announced);
  });
}

} // namespace gradc
