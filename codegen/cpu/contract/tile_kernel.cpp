#include "codegen/cpu/contract/tile_kernel.h"

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

/// A long epilogue needs all registers: the sums leave them for memory, which stays in the first cache.
void emitStoreTile(Emit &e, TileStore &store, const Values &sums, int64_t rows, const TilePlaces &places) {
  constexpr int64_t kVector = kVectorLanes * 4;
  if (!store.isLong()) {
    std::vector<TileVector> tile = places(e.i64(0), rows);
    for (size_t i = 0; i < sums.size(); ++i)
      tile[i].lanes = sums[i];
    return store.store(tile);
  }
  const int64_t count = std::ssize(sums);
  llvm::Value *memory = e.stack(count * kVector, kVector);
  for (int64_t i = 0; i < count; ++i)
    e.b.CreateAlignedStore(sums[i], e.offset(memory, i * kVector), llvm::Align(kVector));
  emitStoreRows(e, store, memory, count / rows * kVector, rows, [&](llvm::Value *row) {
    std::vector<LaneIndex> indices;
    for (TileVector &vector : places(row, 1))
      indices.push_back(std::move(vector.at));
    return indices;
  });
}

void emitStoreRows(Emit &e, TileStore &store, llvm::Value *sums, int64_t pitch, llvm::Value *first,
                   int64_t rows, const RowIndices &indices) {
  constexpr int64_t kVector = kVectorLanes * 4;
  // Two short rows at a time have enough vectors for a long epilogue to be busy with.
  const int64_t together = store.isLong() && pitch <= 2 * kVector && rows % 2 == 0 ? 2 : 1;
  e.count(rows / together, [&](llvm::Value *number) {
    std::vector<TileVector> vectors;
    for (int64_t i = 0; i < together; ++i) {
      llvm::Value *row = e.add(first, e.add(e.mul(number, together), e.i64(i))),
                  *from = e.offset(sums, e.mul(row, pitch));
      int64_t at = 0;
      for (LaneIndex &index : indices(row)) {
        llvm::Value *lanes =
            e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(from, at), llvm::Align(kVector));
        vectors.push_back({lanes, std::move(index)});
        at += kVector;
      }
    }
    store.store(vectors);
  });
}

void emitFetchPlace(Emit &e, TileStore &store, const ImagePlace &place, llvm::Value *iteration,
                    int64_t iterations) {
  LaneMath math(e);
  const int64_t pixels = place.rows * place.columns, each = ceilDiv(place.channels * pixels, iterations);
  llvm::Value *first = e.mul(iteration, each);
  for (int64_t i = 0; i < each; ++i) {
    llvm::Value *vector = e.add(first, e.i64(i)), *pixel = e.mod(vector, pixels);
    store.prefetchPlace(LaneIndex::of({math.consecutive(e.mul(place.block, kVectorLanes), kVectorLanes),
                                       math.uniform(e.add(place.channel, e.div(vector, pixels))),
                                       math.uniform(e.add(place.row, e.div(pixel, place.columns))),
                                       math.uniform(e.add(place.column, e.mod(pixel, place.columns)))}));
  }
}

} // namespace gradc
