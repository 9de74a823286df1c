#include "codegen/cpu/contract/register_tile.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

#include "codegen/cpu/lanes_apart.h"
#include "support/check.h"

namespace gradc {

Reduction Reduction::loop(int64_t extent, int64_t rowStep, int64_t columnStep, Reduction body) {
  Reduction loop;
  loop.kind = Kind::Loop;
  loop.extent = extent;
  loop.rowStep = rowStep;
  loop.columnStep = columnStep;
  loop.parts.push_back({.reduction = std::move(body)});
  return loop;
}

Reduction Reduction::sequence(std::vector<Part> parts) {
  Reduction once;
  once.kind = Kind::Loop;
  once.parts = std::move(parts);
  return once;
}

Reduction Reduction::runtimeLoop(int slot, bool mayBeEmpty, int64_t rowStep, int64_t columnStep,
                                 Reduction body) {
  std::vector<Part> parts;
  parts.push_back({.reduction = std::move(body)});
  return runtimeLoop(slot, mayBeEmpty, rowStep, columnStep, std::move(parts));
}

Reduction Reduction::runtimeLoop(int slot, bool mayBeEmpty, int64_t rowStep, int64_t columnStep,
                                 std::vector<Part> parts) {
  Reduction loop;
  loop.kind = Kind::Loop;
  loop.extentSlot = slot;
  loop.mayBeEmpty = mayBeEmpty;
  loop.rowStep = rowStep;
  loop.columnStep = columnStep;
  loop.parts = std::move(parts);
  return loop;
}

namespace {

/// Vector multiply-adds of straight-line code: enough to hide the loop's own instructions, few enough to compile
/// in milliseconds.
constexpr int64_t kUnrollBudget = 100;

/// An address that is a pointer in a register plus a displacement.
struct Cursor {
  llvm::Value *pointer;
  int64_t displacement = 0;
  Cursor operator+(int64_t bytes) const { return {pointer, displacement + bytes}; }
};

class TileEmitter {
public:
  TileEmitter(Emit &e, const RegisterTileShape &shape, const Values &extents)
      : e(e), shape_(shape), extents_(extents) {}

  Values emit(const Reduction &reduction, Cursor row, Cursor column, uint32_t columns, Values accumulators) {
    if (reduction.kind == Reduction::Kind::MultiplyAdd)
      return multiplyAdd(row, column, columns, std::move(accumulators));
    if (reduction.extentSlot != Reduction::kStatic)
      return loop(reduction, extents_[reduction.extentSlot], 1, row, column, columns,
                  std::move(accumulators));
    const int64_t unroll = reduction.unroll ? reduction.unroll : unrollFactor(reduction, columns);
    // A sequence is no loop: the loops inside it are what takes the time.
    if (unroll == reduction.extent && reduction.extent > 1 && std::exchange(alongsidePending_, false))
      shape_.alongside(e.i64(0), 1);
    const int64_t rolled = unroll == reduction.extent ? 0 : reduction.extent / unroll;
    if (rolled)
      accumulators = loop(reduction, e.i64(rolled), unroll, row, column, columns, std::move(accumulators));
    for (int64_t i = rolled * unroll; i < reduction.extent; ++i)
      accumulators = body(reduction, row + i * reduction.rowStep, column + i * reduction.columnStep, columns,
                          std::move(accumulators));
    return accumulators;
  }

private:
  Values body(const Reduction &loop, Cursor row, Cursor column, uint32_t columns, Values accumulators) {
    const int64_t budget = budget_;
    budget_ /= static_cast<int64_t>(std::max<size_t>(1, loop.parts.size())); // parts are code of their own
    for (const Reduction::Part &part : loop.parts)
      if (columns & part.columns)
        accumulators = emit(part.reduction, row + part.rowOffset, column + part.columnOffset,
                            columns & part.columns, std::move(accumulators));
    budget_ = budget;
    return accumulators;
  }

  Values loop(const Reduction &reduction, llvm::Value *iterations, int64_t unroll, Cursor row, Cursor column,
              uint32_t columns, Values accumulators) {
    const bool outermost = std::exchange(alongsidePending_, false);
    Values carried = {e.offset(row.pointer, row.displacement), e.offset(column.pointer, column.displacement)};
    carried.insert(carried.end(), accumulators.begin(), accumulators.end());
    Values result = e.loop(
        e.i64(0), iterations, 1, carried,
        [&](llvm::Value *index, const Values &in) {
          Values inner(in.begin() + 2, in.end());
          if (outermost)
            shape_.alongside(index, reduction.extent / unroll);
          if (shape_.rowPrefetch != 0 && isInnermost(reduction))
            prefetchRows(in[0], reduction.rowStep, unroll);
          for (int64_t i = 0; i < unroll; ++i)
            inner = body(reduction, Cursor{in[0], i * reduction.rowStep},
                         Cursor{in[1], i * reduction.columnStep}, columns, std::move(inner));
          Values next = {e.offset(in[0], unroll * reduction.rowStep),
                         e.offset(in[1], unroll * reduction.columnStep)};
          next.insert(next.end(), inner.begin(), inner.end());
          return next;
        },
        reduction.mayBeEmpty);
    return Values(result.begin() + 2, result.end());
  }

  static bool isInnermost(const Reduction &loop) {
    return std::ranges::all_of(loop.parts, [](const Reduction::Part &part) {
      return part.reduction.kind == Reduction::Kind::MultiplyAdd;
    });
  }

  /// What the next tile reads of the row operand in these steps: each cache line once, by its last element, as the
  /// tile that ends before that has fetched the rest of the line.
  void prefetchRows(llvm::Value *row, int64_t step, int64_t steps) {
    std::vector<int64_t> places;
    for (int64_t offset : shape_.rowOffsets)
      for (int64_t i = 0; i < steps; ++i)
        places.push_back(offset + i * step);
    std::ranges::sort(places, std::greater{});
    int64_t fetched = std::numeric_limits<int64_t>::max();
    for (int64_t place : places)
      if (fetched - place >= kCacheLine) {
        emitPrefetch(e, e.offset(row, place + shape_.rowPrefetch), shape_.rowPrefetchInto);
        fetched = place;
      }
  }

  /// The operands of the shorter side stay in registers, those of the other come one by one.
  Values multiplyAdd(Cursor row, Cursor column, uint32_t columns, Values accumulators) {
    const int width = shape_.columns();
    auto add = [&](int i, int j, llvm::Value *x, llvm::Value *y) {
      llvm::Value *&sum = accumulators[i * width + j];
      llvm::Value *next = e.fma(x, y, sum);
      sum = shape_.absentTerms && mask(j) ? e.b.CreateSelect(mask(j), next, sum) : next;
    };
    if (!shape_.broadcastRows && shape_.rows() < width) {
      Values rows;
      for (int i = 0; i < shape_.rows(); ++i)
        rows.push_back(loadRow(row + shape_.rowOffsets[i]));
      for (int j = 0; j < width; ++j)
        if (llvm::Value *vector = columns >> j & 1 ? loadColumn(column, j) : nullptr)
          for (int i = 0; i < shape_.rows(); ++i)
            add(i, j, rows[i], vector);
      return accumulators;
    }
    Values vectors(width, nullptr);
    for (int j = 0; j < width; ++j)
      if (columns >> j & 1)
        vectors[j] = loadColumn(column, j);
    for (int i = 0; i < shape_.rows(); ++i) {
      llvm::Value *operand = loadRow(row + shape_.rowOffsets[i]);
      for (int j = 0; j < width; ++j)
        if (vectors[j])
          add(i, j, operand, vectors[j]);
    }
    return accumulators;
  }

  llvm::Value *loadColumn(Cursor column, int j) {
    llvm::Value *address = e.offset(column.pointer, column.displacement + shape_.columnOffsets[j]);
    if (shape_.laneStep != 4)
      return suitsShuffles(mask(j)) ? loadApart(address, mask(j)) : gather(address, mask(j));
    return loadNeighbours(address, mask(j));
  }

  llvm::Value *loadNeighbours(llvm::Value *address, llvm::Value *mask) {
    llvm::Type *type = e.vectorType(DType::F32);
    const llvm::Align align(4);
    if (!mask)
      return e.b.CreateAlignedLoad(type, address, align, /*isVolatile=*/shape_.reloadColumns);
    return e.b.CreateMaskedLoad(type, address, align, mask, llvm::Constant::getNullValue(type));
  }

  llvm::Value *mask(int j) const {
    if (!shape_.columnMasks.empty())
      return shape_.columnMasks[j];
    return j + 1 < shape_.columns() || shape_.lastLanes == kVectorLanes ? nullptr
                                                                        : e.laneMask(shape_.lastLanes);
  }

  /// A gather loads lane by lane. Masks of lanes, too, must be instructions of the processor.
  bool suitsShuffles(llvm::Value *mask) const {
    return shape_.laneStep % 4 == 0 && shape_.laneStep <= 4 * kMostApart &&
           (!mask || e.target.vectorBits >= 256);
  }

  /// Every `step`-th element, by `step` vectors of neighbours, of which the last ends with the last lane's element:
  /// nothing is read behind it.
  llvm::Value *loadApart(llvm::Value *first, llvm::Value *mask) {
    const int64_t step = shape_.laneStep / 4;
    llvm::Value *lanes = nullptr;
    for (int64_t part = 0; part < step; ++part) {
      const int64_t start = part * (part + 1 < step ? kVectorLanes : kVectorLanes - 1);
      std::vector<int> source(kVectorLanes);             // of each lane: `lanes`, then this part
      std::vector<int> lane(kVectorLanes, kVectorLanes); // of each element of this part, or none
      for (int k = 0; k < kVectorLanes; ++k) {
        const bool here = k * step / kVectorLanes == part;
        const int element = static_cast<int>(k * step - start);
        source[k] = here ? kVectorLanes + element : static_cast<int>(part == 1 ? k * step % kVectorLanes : k);
        if (here)
          lane[element] = k;
      }
      llvm::Value *address = e.offset(first, start * 4);
      llvm::Value *present =
          mask ? e.b.CreateShuffleVector(mask, llvm::Constant::getNullValue(mask->getType()), lane) : nullptr;
      llvm::Value *vector = loadNeighbours(address, present);
      lanes = lanes ? e.b.CreateShuffleVector(lanes, vector, source) : vector;
    }
    return lanes;
  }

  llvm::Value *gather(llvm::Value *first, llvm::Value *mask) {
    llvm::Value *step =
        llvm::ConstantInt::get(e.vectorType(DType::I32), static_cast<uint64_t>(shape_.laneStep));
    llvm::Value *lanes = e.b.CreateStepVector(e.vectorType(DType::I32));
    llvm::Value *pointers = e.b.CreateGEP(e.b.getInt8Ty(), first, e.b.CreateMul(lanes, step));
    return e.b.CreateMaskedGather(e.vectorType(DType::F32), pointers, llvm::Align(4), mask,
                                  llvm::Constant::getNullValue(e.vectorType(DType::F32)));
  }

  llvm::Value *loadRow(Cursor row) {
    llvm::Value *address = e.offset(row.pointer, row.displacement);
    if (!shape_.broadcastRows && shape_.rowMask)
      return e.b.CreateMaskedLoad(e.vectorType(DType::F32), address, llvm::Align(4), shape_.rowMask,
                                  llvm::Constant::getNullValue(e.vectorType(DType::F32)));
    if (!shape_.broadcastRows)
      return e.b.CreateAlignedLoad(e.vectorType(DType::F32), address, llvm::Align(4));
    return e.splat(e.b.CreateAlignedLoad(e.b.getFloatTy(), address, llvm::Align(4)));
  }

  /// Multiply-adds of the nest when it is unrolled completely; more than the budget where it cannot be.
  int64_t weight(const Reduction &reduction, uint32_t columns) const {
    if (reduction.kind == Reduction::Kind::MultiplyAdd)
      return int64_t{shape_.rows()} * std::popcount(columns & ((1u << shape_.columns()) - 1));
    if (reduction.extentSlot != Reduction::kStatic)
      return kUnrollBudget + 1;
    return std::min(kUnrollBudget + 1, reduction.extent * bodyWeight(reduction, columns));
  }

  int64_t bodyWeight(const Reduction &reduction, uint32_t columns) const {
    int64_t sum = 0;
    for (const Reduction::Part &part : reduction.parts)
      sum += weight(part.reduction, columns & part.columns);
    return std::min(kUnrollBudget + 1, sum);
  }

  /// Iterations of a loop's body in a row: all of them where they fit the budget (rather more for the few
  /// iterations of a small dimension), else a divisor of the extent, so that nothing is left over.
  int64_t unrollFactor(const Reduction &reduction, uint32_t columns) const {
    const int64_t once = std::max<int64_t>(1, bodyWeight(reduction, columns));
    if (once > budget_)
      return 1;
    if (reduction.extent * once <= budget_ + budget_ / 2)
      return reduction.extent;
    const int64_t most = std::min<int64_t>(4, budget_ / once);
    for (int64_t factor = most; factor > 1; --factor)
      if (reduction.extent % factor == 0)
        return factor;
    return most > 1 && reduction.extent > 4 * most ? most : 1;
  }

  Emit &e;
  const RegisterTileShape &shape_;
  const Values &extents_;
  int64_t budget_ = kUnrollBudget;
  bool alongsidePending_ = static_cast<bool>(shape_.alongside);
};

} // namespace

Values emitRegisterTile(Emit &e, const RegisterTileShape &shape, const Reduction &reduction, llvm::Value *row,
                        llvm::Value *column, const Values &extents, Values accumulators) {
  CHECK(shape.columns() <= 31, "a tile of {} columns", shape.columns());
  const uint32_t all = (1u << shape.columns()) - 1;
  return TileEmitter(e, shape, extents).emit(reduction, {row}, {column}, all, std::move(accumulators));
}

Values zeroAccumulators(Emit &e, const RegisterTileShape &shape) {
  return Values(shape.rows() * shape.columns(), llvm::Constant::getNullValue(e.vectorType(DType::F32)));
}

llvm::Value *emitLaneSums(Emit &e, Values vectors) {
  CHECK(!vectors.empty() && vectors.size() <= kVectorLanes);
  const size_t count = vectors.size();
  while (vectors.size() & (vectors.size() - 1))
    vectors.push_back(vectors.back());
  // Each round adds the upper half of every group of lanes to its lower half and packs the halves of two vectors
  // into one. Groups shrink 16, 8, 4, 2; `order[g]` is the accumulator whose sum group g of the last vector holds.
  std::vector<std::vector<int>> owners;
  for (size_t i = 0; i < vectors.size(); ++i)
    owners.push_back({static_cast<int>(std::min(i, count - 1))});
  for (int group = kVectorLanes; group > 1; group /= 2) {
    Values next;
    std::vector<std::vector<int>> nextOwners;
    const size_t half = std::max<size_t>(1, vectors.size() / 2);
    for (size_t i = 0; i < half; ++i) {
      const size_t partner = vectors.size() == 1 ? i : i + half;
      std::vector<int> low, high;
      for (int source = 0; source < 2; ++source)
        for (int base = 0; base < kVectorLanes; base += group)
          for (int lane = 0; lane < group / 2; ++lane) {
            low.push_back(source * kVectorLanes + base + lane);
            high.push_back(source * kVectorLanes + base + lane + group / 2);
          }
      next.push_back(e.b.CreateFAdd(e.b.CreateShuffleVector(vectors[i], vectors[partner], low),
                                    e.b.CreateShuffleVector(vectors[i], vectors[partner], high)));
      nextOwners.push_back(owners[i]);
      nextOwners.back().insert(nextOwners.back().end(), owners[partner].begin(), owners[partner].end());
    }
    vectors = std::move(next);
    owners = std::move(nextOwners);
  }
  // Lane l of the last vector holds the sum of accumulator owners[0][l]; put them in order.
  std::vector<int> order(kVectorLanes, 0);
  for (int lane = kVectorLanes - 1; lane >= 0; --lane)
    order[owners[0][lane]] = lane;
  return e.b.CreateShuffleVector(vectors[0], order);
}

} // namespace gradc
