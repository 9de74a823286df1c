#include "codegen/cpu/tile_matmul.h"

#include <fmt/format.h>

#include "codegen/cpu/tile_matmul_parts.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// An item is a panel of rows by a group of column panels, for all of the depth.
class FlatMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;

  KernelStep emitProduct(int rowBuffer) {
    KernelStep step{.symbol = k.symbol,
                    .items = batches * columnGroups() * rowPanels(),
                    .scratchBytes = kSumBytes + panelBytes()};
    e.beginKernel(step.symbol);
    llvm::Value *source = e.buffer(rowBuffer), *columns = e.buffer(k.workspaceBuffer());
    llvm::Value *sums = e.scratch(), *packed = e.offset(sums, kSumBytes);
    emitTileBegin(e);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *panel = e.mod(item, rowPanels()), *rest = e.div(item, rowPanels());
      llvm::Value *batch = e.div(rest, columnGroups());
      llvm::Value *first = e.mul(e.mod(rest, columnGroups()), plan.groupPanels);
      const Values numbers = decodeBatch(batch);
      packRowPanels(atBatch(source, numbers, true), {panel, 1}, packed, panelBytes(), e.i64(0),
                    e.i64(chunks));
      TileKernels::Args args{packed, e.offset(columns, e.mul(batch, columnPanels() * panelBytes())),
                             e.argument(1), numbers, sums};
      args.numbers.push_back(e.mul(panel, kPanelRows));
      switchRows(panel, [&](int64_t rows) { emitColumns(args, first, rows); });
    });
    emitTileEnd(e);
    e.endFunction();
    return step;
  }

private:
  /// A panel of rows by the group of column panels that begins at `first`.
  void emitColumns(const TileKernels::Args &args, llvm::Value *first, int64_t rows) {
    auto panel = [&](llvm::Value *number) {
      TileKernels::Args inner = args;
      inner.column = e.offset(args.column, e.mul(number, panelBytes()));
      inner.numbers.push_back(e.mul(number, kPanelRows));
      switchColumns(number, [&](int64_t columns) {
        tiles.call(fmt::format("{}x{}", rows, columns), inner,
                   [&](const TileKernels::Args &a) { block(a, rows, columns); });
      });
    };
    if (columnPanels() == 1)
      panel(e.i64(0));
    else
      e.loop(first, e.atMost(e.add(first, e.i64(plan.groupPanels)), columnPanels()), 1, panel);
  }

  /// One block of sums and its epilogue.
  void block(const TileKernels::Args &args, int64_t rows, int64_t columns) {
    if (store.prefetches())
      e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) {
        std::vector<TileVector> announced;
        for (LaneIndex &at : indicesOf(args, row, columns))
          announced.push_back({nullptr, std::move(at)});
        store.prefetch(announced);
      });
    TileProduct product(e, blockOf(rows, columns), args.partials);
    product.zero();
    e.loop(e.i64(0), e.i64(chunks), 1, {args.row, args.column}, [&](llvm::Value *, const Values &at) {
      product.step(at[0], at[1]);
      return Values{e.offset(at[0], chunkBytes()), e.offset(at[1], chunkBytes())};
    });
    product.store();
    emitStoreRows(e, store, args.partials, kSumPitch, rows,
                  [&](llvm::Value *row) { return indicesOf(args, row, columns); });
  }
};

template <class Walk>
KernelCode emitWalk(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                    int columnBuffer) {
  Walk walk(k, plan, store);
  KernelCode code;
  code.workspaceBytes = walk.workspaceBytes();
  code.steps = {walk.emitPacking(columnBuffer), walk.emitProduct(rowBuffer)};
  return code;
}

} // namespace

ValueId packedFrom(const Function &fn, ValueId factor) {
  const OpId def = fn[factor].def;
  return def != kNoOp && fn[def].def->name == "cast" ? fn[def].operands[0] : factor;
}

KernelCode emitTileMatmul(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                          int columnBuffer) {
  return plan.isDeep() ? emitWalk<DeepMatmul>(k, plan, store, rowBuffer, columnBuffer)
                       : emitWalk<FlatMatmul>(k, plan, store, rowBuffer, columnBuffer);
}

} // namespace gradc
