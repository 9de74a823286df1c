#include "codegen/cpu/tile_kernel.h"

#include "support/check.h"

namespace gradc {

void TileKernels::call(const std::string &name, const Args &args, const Body &body) {
  llvm::Function *&fn = functions_[name];
  llvm::Value *partials = args.partials ? args.partials : args.buffers;
  std::vector<llvm::Value *> values = {args.row, args.column, args.buffers, partials};
  values.insert(values.end(), args.numbers.begin(), args.numbers.end());
  if (!fn) {
    llvm::IRBuilderBase::InsertPointGuard guard(e.b);
    std::vector<llvm::Type *> types;
    for (llvm::Value *value : values)
      types.push_back(value->getType());
    fn = e.beginHelper(symbol_ + "." + name, types);
    Args inner{fn->getArg(0), fn->getArg(1), fn->getArg(2), {}, fn->getArg(3)};
    for (unsigned i = 4; i < values.size(); ++i)
      inner.numbers.push_back(fn->getArg(i));
    store.begin(inner.buffers);
    body(inner);
    e.endFunction();
  }
  e.b.CreateCall(fn, values);
}

void emitIf(Emit &e, llvm::Value *condition, const std::function<void()> &then,
            const std::function<void()> &otherwise) {
  llvm::LLVMContext &context = e.module.getContext();
  auto *thenBlock = llvm::BasicBlock::Create(context, "then", e.function());
  auto *elseBlock = llvm::BasicBlock::Create(context, "else", e.function());
  auto *done = llvm::BasicBlock::Create(context, "endif", e.function());
  e.b.CreateCondBr(condition, thenBlock, elseBlock);
  e.b.SetInsertPoint(thenBlock);
  then();
  e.b.CreateBr(done);
  e.b.SetInsertPoint(elseBlock);
  otherwise();
  e.b.CreateBr(done);
  e.b.SetInsertPoint(done);
}

namespace {

void switchFrom(Emit &e, const std::vector<TileRun> &runs, size_t first, int64_t before, llvm::Value *tile,
                const OnTile &f) {
  const TileRun &run = runs[first];
  auto here = [&] { f(e.add(e.mul(tile, run.size), e.i64(run.start - before * run.size)), run); };
  if (first + 1 == runs.size())
    return here();
  emitIf(e, e.b.CreateICmpSLT(tile, e.i64(before + run.count)), here,
         [&] { switchFrom(e, runs, first + 1, before + run.count, tile, f); });
}

} // namespace

void emitTileSwitch(Emit &e, const std::vector<TileRun> &runs, llvm::Value *tile, const OnTile &f) {
  CHECK(!runs.empty());
  switchFrom(e, runs, 0, 0, tile, f);
}

void emitTileLoops(Emit &e, const std::vector<TileRun> &runs, const OnTile &f) {
  for (const TileRun &run : runs) {
    if (run.count == 1)
      f(e.i64(run.start), run);
    else
      e.loop(
          e.i64(run.start), e.i64(run.end()), run.size, [&](llvm::Value *start) { f(start, run); }, false);
  }
}

void emitPanelSwitch(Emit &e, llvm::Value *panel, int64_t extent, int64_t size,
                     const std::function<void(int64_t rows)> &f) {
  const int64_t panels = ceilDiv(extent, size), last = extent - (panels - 1) * size;
  if (panels == 1 || last == size)
    return f(last);
  emitIf(
      e, e.b.CreateICmpSLT(panel, e.i64(panels - 1)), [&] { f(size); }, [&] { f(last); });
}

void emitStoreRows(Emit &e, TileStore &store, llvm::Value *sums, int64_t pitch, int64_t rows,
                   const RowIndices &indices) {
  constexpr int64_t kVector = kVectorLanes * 4;
  e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) {
    llvm::Value *from = e.offset(sums, e.mul(row, pitch));
    std::vector<TileVector> vectors;
    for (LaneIndex &at : indices(row)) {
      llvm::Value *lanes = e.b.CreateAlignedLoad(
          e.vectorType(DType::F32), e.offset(from, std::ssize(vectors) * kVector), llvm::Align(kVector));
      vectors.push_back({lanes, std::move(at)});
    }
    store.store(vectors);
  });
}

} // namespace gradc
