#include "codegen/cpu/contract/dot_nest.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;

std::vector<TileRun> unitRuns(const DotNest &nest) {
  return balancedTiles(nest.units, std::min(nest.tile.rows, kVectorLanes)); // their sums are one vector
}

class DotEmitter {
public:
  DotEmitter(TileKernels &tiles, const DotNest &nest) : tiles_(tiles), e(tiles.e), nest_(nest) {}

  void emit(llvm::Value *units, llvm::Value *examples) {
    const int64_t rowBytes = nest_.depth * kFloat;
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      emitTileSwitch(e, unitRuns(nest_), item, [&](llvm::Value *unit, const TileRun &unitRun) {
        emitTileLoops(e, balancedTiles(nest_.examples, nest_.tile.vectors),
                      [&](llvm::Value *example, const TileRun &exampleRun) {
                        const TileKernels::Args args{.row = e.offset(units, e.mul(unit, rowBytes)),
                                                     .column = e.offset(examples, e.mul(example, rowBytes)),
                                                     .buffers = e.argument(1),
                                                     .numbers = {unit, example},
                                                     .partials = nullptr};
                        tiles_.call(fmt::format("{}x{}", unitRun.size, exampleRun.size), args,
                                    [&](const TileKernels::Args &inner) {
                                      tileBody(inner, unitRun.size, exampleRun.size);
                                    });
                      });
      });
    });
  }

private:
  void tileBody(const TileKernels::Args &args, int64_t units, int64_t examples) {
    RegisterTileShape shape;
    shape.broadcastRows = false;
    for (int64_t i = 0; i < units; ++i)
      shape.rowOffsets.push_back(i * nest_.depth * kFloat);
    for (int64_t j = 0; j < examples; ++j)
      shape.columnOffsets.push_back(j * nest_.depth * kFloat);
    const int64_t full = nest_.depth / kVectorLanes, rest = nest_.depth % kVectorLanes;
    Values sums = zeroAccumulators(e, shape);
    if (full)
      sums = emitRegisterTile(e, shape, Reduction::loop(full, kVector, kVector, Reduction::step()), args.row,
                              args.column, {}, std::move(sums));
    if (rest) {
      shape.rowMask = e.laneMask(static_cast<int>(rest));
      shape.columnMasks.assign(examples, shape.rowMask);
      shape.absentTerms = true;
      sums = emitRegisterTile(e, shape, Reduction::step(), e.offset(args.row, full * kVector),
                              e.offset(args.column, full * kVector), {}, std::move(sums));
    }
    store(args, sums, units, examples);
  }

  void store(const TileKernels::Args &args, const Values &sums, int64_t units, int64_t examples) {
    LaneMath math(e);
    std::vector<TileVector> tile;
    for (int64_t j = 0; j < examples; ++j) {
      Values ofExample;
      for (int64_t i = 0; i < units; ++i)
        ofExample.push_back(sums[i * examples + j]);
      llvm::Value *mask = units == kVectorLanes ? nullptr : e.laneMask(static_cast<int>(units));
      tile.push_back(
          {emitLaneSums(e, std::move(ofExample)),
           LaneIndex::of({math.uniform(e.add(args.numbers[1], e.i64(j))), math.consecutive(args.numbers[0])},
                         mask)});
    }
    tiles_.store.store(tile);
  }

  TileKernels &tiles_;
  Emit &e;
  const DotNest &nest_;
};

} // namespace

int64_t DotNest::items() const { return countTiles(unitRuns(*this)); }

void emitNest(TileKernels &tiles, const DotNest &nest, llvm::Value *units, llvm::Value *examples) {
  DotEmitter(tiles, nest).emit(units, examples);
}

} // namespace gradc
