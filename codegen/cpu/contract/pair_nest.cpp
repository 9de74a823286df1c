#include "codegen/cpu/contract/pair_nest.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/matmul_nest.h"
#include "codegen/cpu/contract/panel.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
/// How far ahead of their use weights and momenta are fetched.
constexpr int64_t kAhead = 4 << 10;

class PairEmitter {
public:
  PairEmitter(TileKernels &tiles, TileStore &toInput, const PairNest &nest, const PairOperands &operands)
      : tiles_(tiles), e(tiles.e), toInput_(toInput), nest_(nest), operands_(operands) {}

  void emit() {
    toInput_.begin(e.argument(1));
    sums_ = e.scratch();
    panel_ = e.offset(sums_, nest_.sumBytes());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      const int64_t unitBlocks = nest_.units / kVectorLanes / nest_.segments;
      llvm::Value *segment = e.div(item, nest_.strips());
      Strip strip{.first = e.mul(e.mod(item, nest_.strips()), nest_.stripInputs)};
      strip.end = e.atMost(e.add(strip.first, e.i64(nest_.stripInputs)), nest_.inputs);
      e.clear(sums_, e.mul(e.b.CreateSub(strip.end, strip.first), nest_.blocks()), kFloat);
      e.count(unitBlocks, [&](llvm::Value *number) {
        strip.block = e.add(e.mul(segment, unitBlocks), number);
        transposeGradient(strip.block);
        forEachTile(strip, [&](llvm::Value *row, int64_t rows) { callTile(strip, row, rows); });
      });
      storeSums(strip, segment);
    });
  }

private:
  struct Strip {
    llvm::Value *first, *end;     // inputs
    llvm::Value *block = nullptr; // of units
  };

  int64_t pitch() const { return nest_.inputs * kVector; } // of a block of units in W, of examples in X
  int64_t gradientPitch() const { return nest_.units * kVector; }
  llvm::Value *gradientAt(llvm::Value *block) {
    return e.offset(operands_.gradient, e.mul(block, kVectorLanes * kVector));
  }

  void transposeGradient(llvm::Value *block) {
    for (int64_t b = 0; b < nest_.blocks(); ++b)
      emitBlockTranspose(e, e.offset(gradientAt(block), b * gradientPitch()), kVector, kVectorLanes,
                         static_cast<int>(std::min<int64_t>(kVectorLanes, nest_.examples - b * kVectorLanes)),
                         e.offset(panel_, b * kVectorLanes * kVector), kVector);
  }

  /// f(the first input, how many)
  void forEachTile(const Strip &strip, const std::function<void(llvm::Value *, int64_t)> &f) {
    const int64_t rows = nest_.tile.rows, rest = nest_.inputs % rows;
    llvm::Value *full = e.atMost(strip.end, nest_.inputs - rest);
    e.loop(strip.first, full, rows, [&](llvm::Value *row) { f(row, rows); });
    if (rest)
      emitIf(
          e, e.b.CreateICmpSLT(full, strip.end), [&] { f(full, rest); }, [] {});
  }

  /// What is behind a tile by so many inputs: those of the strip in the next block follow its last ones.
  std::pair<llvm::Value *, llvm::Value *> ahead(const Strip &strip, llvm::Value *row, int64_t inputs) {
    llvm::Value *place = e.add(row, e.i64(inputs)), *beyond = e.b.CreateICmpSGE(place, strip.end);
    llvm::Value *wrapped = e.add(strip.first, e.b.CreateSub(place, strip.end));
    return {e.b.CreateSelect(beyond, wrapped, place),
            e.add(strip.block, e.b.CreateZExt(beyond, e.b.getInt64Ty()))};
  }

  void callTile(const Strip &strip, llvm::Value *row, int64_t rows) {
    const auto [nextRow, nextBlock] = ahead(strip, row, ceilDiv(kAhead / kVector, rows) * rows);
    llvm::Value *place = e.mul(row, kVector);
    TileKernels::Args args{e.offset(operands_.weights, e.add(e.mul(strip.block, pitch()), place)),
                           gradientAt(strip.block),
                           e.argument(1),
                           {row, strip.block, nextRow, nextBlock, e.offset(operands_.input, place), panel_}};
    args.partials = e.offset(sums_, e.mul(e.b.CreateSub(row, strip.first), nest_.blocks() * kVector));
    tiles_.call(fmt::format("pair{}", rows), args, [&](const TileKernels::Args &inner) {
      addToSums(inner, static_cast<int>(rows));
      updateWeights(inner, static_cast<int>(rows));
    });
  }

  RegisterTileShape tileShape(int rows, int64_t columns) const {
    RegisterTileShape shape;
    for (int i = 0; i < rows; ++i)
      shape.rowOffsets.push_back(i * kVector);
    for (int64_t j = 0; j < columns; ++j)
      shape.columnOffsets.push_back(j * gradientPitch());
    return shape;
  }

  void addToSums(const TileKernels::Args &args, int rows) {
    llvm::Type *type = e.vectorType(DType::F32);
    const Reduction units = Reduction::loop(kVectorLanes, kFloat, kVector, Reduction::step());
    for (const TileRun &run : balancedTiles(nest_.blocks(), nest_.tile.vectors))
      for (int64_t first = run.start; first < run.end(); first += run.size) {
        std::vector<llvm::Value *> places;
        Values sums;
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = 0; j < run.size; ++j) {
            places.push_back(e.offset(args.partials, (i * nest_.blocks() + first + j) * kVector));
            sums.push_back(e.b.CreateAlignedLoad(type, places.back(), llvm::Align(kFloat)));
          }
        sums = emitRegisterTile(e, tileShape(rows, run.size), units, args.row,
                                e.offset(args.column, first * gradientPitch()), {}, std::move(sums));
        for (size_t i = 0; i < sums.size(); ++i)
          e.b.CreateAlignedStore(sums[i], places[i], llvm::Align(kFloat));
      }
  }

  void updateWeights(const TileKernels::Args &args, int rows) {
    enum : size_t { kRow, kBlock, kNextRow, kNextBlock, kInput, kPanel };
    auto weightsAt = [&](size_t row, size_t block, llvm::Value *number, int64_t count) {
      LaneMath math(e);
      std::vector<TileVector> vectors;
      for (int64_t i = 0; i < count; ++i)
        vectors.push_back(
            {nullptr, LaneIndex::of({math.consecutive(e.mul(args.numbers[block], kVectorLanes), kVectorLanes),
                                     math.uniform(e.add(args.numbers[row], e.add(number, e.i64(i))))})});
      return vectors;
    };
    RegisterTileShape shape = tileShape(rows, 1);
    shape.alongside = [&](llvm::Value *iteration, int64_t iterations) {
      const int64_t share = ceilDiv(rows, iterations);
      tiles_.store.prefetch(weightsAt(kNextRow, kNextBlock, e.mul(iteration, share), share));
    };
    const Values sums =
        emitRegisterTile(e, shape, overBlocks(nest_.examples, pitch(), kVector), args.numbers[kInput],
                         args.numbers[kPanel], {}, zeroAccumulators(e, shape));
    emitStoreTile(e, tiles_.store, sums, rows,
                  [&](llvm::Value *first, int64_t count) { return weightsAt(kRow, kBlock, first, count); });
  }

  void storeSums(const Strip &strip, llvm::Value *segment) {
    LaneMath math(e);
    e.loop(strip.first, strip.end, 1, [&](llvm::Value *row) {
      llvm::Value *place = e.mul(e.b.CreateSub(row, strip.first), nest_.blocks() * kVector);
      std::vector<TileVector> vectors;
      for (int64_t b = 0; b < nest_.blocks(); ++b) {
        std::vector<LaneValue> index = {math.consecutive(e.i64(b * kVectorLanes), kVectorLanes),
                                        math.uniform(row)};
        if (nest_.segments > 1)
          index.insert(index.begin(), math.uniform(segment));
        llvm::Value *sum = e.b.CreateAlignedLoad(
            e.vectorType(DType::F32), e.offset(sums_, e.add(place, e.i64(b * kVector))), llvm::Align(kFloat));
        vectors.push_back({sum, LaneIndex::of(std::move(index))});
      }
      toInput_.store(vectors);
    });
  }

  TileKernels &tiles_;
  Emit &e;
  TileStore &toInput_;
  const PairNest &nest_;
  const PairOperands &operands_;
  llvm::Value *sums_ = nullptr, *panel_ = nullptr;
};

} // namespace

int64_t PairNest::sumBytes() const { return stripInputs * blocks() * kVector; }

int64_t PairNest::panelBytes() const { return blocks() * kVectorLanes * kVector; }

void cutStrips(PairNest &nest) {
  constexpr int64_t kStripBytes = 48 << 10; // of sums
  constexpr int64_t kItems = 32, kFewestInputs = kAhead / kVector;
  const int64_t strips = std::max(ceilDiv(nest.inputs * nest.blocks() * kVector, kStripBytes),
                                  std::min(ceilDiv(kItems, nest.segments), nest.inputs / kFewestInputs));
  nest.stripInputs =
      ceilDiv(ceilDiv(nest.inputs, std::max<int64_t>(strips, 1)), nest.tile.rows) * nest.tile.rows;
}

void emitNest(TileKernels &tiles, TileStore &toInput, const PairNest &nest, const PairOperands &operands) {
  PairEmitter(tiles, toInput, nest, operands).emit();
}

} // namespace gradc
