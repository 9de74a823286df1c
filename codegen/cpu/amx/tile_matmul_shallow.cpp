#include <fmt/format.h>

#include "codegen/cpu/amx/tile_emulation.h"
#include "codegen/cpu/amx/tile_matmul_emulated.h"

namespace gradc {

int64_t ShallowMatmul::tileBytes() const { return orderedRows(plan.columnMatrix.depth) * kTilePitch; }

/// All of the column operand, tile by tile.
KernelStep ShallowMatmul::emitPacking(int columnBuffer) {
  constexpr double kSecondsPerTile = 30e-9;
  const TileMatrix &matrix = plan.columnMatrix;
  KernelStep step{.symbol = k.symbol + ".pack",
                  .items = columnTiles(),
                  .work = kSecondsPerTile * static_cast<double>(columnTiles())};
  e.beginKernel(step.symbol);
  llvm::Value *source = e.buffer(columnBuffer), *target = e.buffer(k.workspaceBuffer());
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *tile) {
    emitPanelSwitch(e, tile, matrix.rows, kTileRows, [&](int64_t rows) {
      emitPackTile(e, matrix, {.form = TileForm::Ordered, .orderedRows = orderedRows(matrix.depth)},
                   e.offset(source, e.mul(tile, matrix.rowBlock)), rows, matrix.depth,
                   e.offset(target, e.mul(tile, tileBytes())));
    });
  });
  e.endFunction();
  return step;
}

/// An item is a panel of rows.
KernelStep ShallowMatmul::emitProduct(int rowBuffer) {
  constexpr int64_t kSums = kRows * kSegmentPitch;
  KernelStep step{.symbol = k.symbol, .items = rowPanels(), .scratchBytes = kSums + panelBytes()};
  e.beginKernel(step.symbol);
  llvm::Value *source = e.buffer(rowBuffer), *columns = e.buffer(k.workspaceBuffer());
  llvm::Value *packed = e.offset(e.scratch(), kSums);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *panel) {
    packRowPanels(source, {panel, 1}, packed, panelBytes(), e.i64(0), e.i64(1));
    llvm::Value *first = e.mul(panel, kPanelRows);
    auto group = [&](llvm::Value *row, int64_t rows) {
      emitRows(e.offset(packed, e.mul(row, kTilePitch)), columns, e.add(first, row), rows);
    };
    switchRows(panel, [&](int64_t rows) {
      const int64_t rest = rows % kRows;
      e.loop(e.i64(0), e.i64(rows - rest), kRows, [&](llvm::Value *row) { group(row, kRows); });
      if (rest)
        group(e.i64(rows - rest), rest);
    });
  });
  e.endFunction();
  return step;
}

/// Some rows of the result, segment by segment.
void ShallowMatmul::emitRows(llvm::Value *packed, llvm::Value *columns, llvm::Value *row, int64_t rows) {
  const int64_t all = plan.columnMatrix.rows, rest = all % kSegment;
  auto segment = [&](llvm::Value *first, int64_t count) {
    llvm::Value *following = e.add(first, e.i64(kAhead));
    llvm::Value *ends = e.b.CreateICmpSGE(following, e.i64(all));
    const TileKernels::Args args{packed,
                                 e.offset(columns, e.mul(e.div(first, kTileRows), tileBytes())),
                                 e.argument(1),
                                 {row, first, e.b.CreateSelect(ends, e.add(row, e.i64(kRows)), row),
                                  e.b.CreateSelect(ends, e.b.CreateSub(following, e.i64(all)), following)},
                                 e.scratch()};
    tiles.call(fmt::format("multiply{}", count), args,
               [&](const TileKernels::Args &a) { multiply(a, count); });
    tiles.call(fmt::format("finish{}x{}", rows, count), args,
               [&](const TileKernels::Args &a) { finish(a, rows, count); });
  };
  e.loop(e.i64(0), e.i64(all - rest), kSegment, [&](llvm::Value *first) { segment(first, kSegment); });
  if (rest)
    segment(e.i64(all - rest), rest);
}

void ShallowMatmul::multiply(const TileKernels::Args &args, int64_t columns) {
  emitFlushing(e, [&] {
    RowProducts products(e, {kRows, plan.rowMatrix.depth, kSegmentPitch, true}, args.row);
    e.count(ceilDiv(columns, kTileRows), [&](llvm::Value *tile) {
      products.multiply(e.offset(args.column, e.mul(tile, tileBytes())),
                        e.offset(args.partials, e.mul(tile, kTilePitch)));
    });
  });
}

/// Sums through the epilogue, row by row, while what it reads for the next segment is fetched.
void ShallowMatmul::finish(const TileKernels::Args &args, int64_t rows, int64_t columns) {
  auto vectors = [&](llvm::Value *row, llvm::Value *first, int64_t count) {
    TileKernels::Args here = args, ahead = args;
    here.numbers[1] = e.add(args.numbers[1], first);
    ahead.numbers = {args.numbers[2], e.add(args.numbers[3], first)};
    if (store.prefetches())
      for (LaneIndex &at : indicesOf(ahead, row, count)) {
        const TileVector announced{nullptr, std::move(at)};
        store.prefetch({&announced, 1});
      }
    emitStoreRows(e, store, e.offset(args.partials, e.mul(first, 4)), kSegmentPitch, row, 1,
                  [&](llvm::Value *) { return indicesOf(here, row, count); });
  };
  const int64_t rest = columns % kPanelRows;
  e.count(rows, [&](llvm::Value *row) {
    e.loop(e.i64(0), e.i64(columns - rest), kPanelRows,
           [&](llvm::Value *first) { vectors(row, first, kPanelRows); });
    if (rest)
      vectors(row, e.i64(columns - rest), rest);
  });
}

} // namespace gradc
