#include "codegen/cpu/amx/tile_emulation.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"
#include "support/tiling.h"

namespace gradc {

/// What one instruction multiplies: a factor in all lanes with 16 columns, for the chain of even terms and for that of
/// odd ones. Terms come from vectors of pairs, the even one in the lower half of each lane.
class Multiplier {
public:
  explicit Multiplier(Emit &e) : e_(e), b_(e.b) {}
  virtual ~Multiplier() = default;

  /// Instructions of each chain for a tile's depth.
  virtual int steps() const = 0;
  /// Instructions read the factors of a row of A one by one: those of even terms, 4 bytes for each step, then those of odd
  /// ones. A packed row (tileRow) is that already, or is stored so first.
  virtual bool storesFactors() const { return false; }
  virtual void storeFactors(llvm::Value *, llvm::Value *) {}
  /// Of a step: for even and odd terms, a vector each. `row` loads a row of B, 16 columns of a pair.
  using Row = std::function<llvm::Value *(llvm::Value *pair)>;
  virtual std::array<llvm::Value *, 2> columns(llvm::Value *step, const Row &row) = 0;
  /// The same of an ordered tile.
  virtual std::array<llvm::Value *, 2> orderedColumns(llvm::Value *step, const Row &row) {
    return columns(step, row);
  }
  /// The factor stored at `at` times columns, added to the sums of one row of A.
  virtual llvm::Value *add(llvm::Value *at, llvm::Value *columns, llvm::Value *sums) = 0;

  int64_t chainBytes() const { return steps() * int64_t{4}; }
  int64_t rowBytes() const { return 2 * chainBytes(); } // of A, as factors

protected:
  Emit &e_;
  llvm::IRBuilder<> &b_;
};

namespace {

const llvm::Align kElement(4); // operands lie anywhere

llvm::Value *halvesOf(Emit &e, llvm::Value *pairs) {
  return e.b.CreateBitCast(pairs, llvm::FixedVectorType::get(e.b.getInt16Ty(), 2 * kVectorLanes));
}

/// Fused multiply-adds of f32, a term each.
class ByTerm : public Multiplier {
public:
  using Multiplier::Multiplier;
  int steps() const override { return 16; }

  bool storesFactors() const override { return true; }
  void storeFactors(llvm::Value *pairs, llvm::Value *at) override {
    b_.CreateAlignedStore(even(pairs), at, llvm::Align(64));
    b_.CreateAlignedStore(odd(pairs), e_.offset(at, chainBytes()), llvm::Align(64));
  }

  std::array<llvm::Value *, 2> columns(llvm::Value *step, const Row &row) override {
    llvm::Value *pairs = row(step);
    return {even(pairs), odd(pairs)};
  }

  llvm::Value *add(llvm::Value *at, llvm::Value *columns, llvm::Value *sums) override {
    return e_.fma(e_.splat(b_.CreateAlignedLoad(b_.getFloatTy(), at, kElement)), columns, sums);
  }

private:
  llvm::Value *even(llvm::Value *pairs) {
    return b_.CreateBitCast(b_.CreateShl(pairs, llvm::ConstantInt::get(pairs->getType(), 16)),
                            e_.vectorType(DType::F32));
  }
  llvm::Value *odd(llvm::Value *pairs) {
    return b_.CreateBitCast(b_.CreateAnd(pairs, llvm::ConstantInt::get(pairs->getType(), 0xffff0000)),
                            e_.vectorType(DType::F32));
  }
};

/// vdpbf16ps: of two neighbours it adds the upper one's term and then the lower one's, each with the rounding of a fused
/// multiply-add. So a step takes two terms of one chain, the earlier of them as the upper half.
class ByDots : public Multiplier {
public:
  using Multiplier::Multiplier;
  int steps() const override { return 8; }

  std::array<llvm::Value *, 2> columns(llvm::Value *step, const Row &row) override {
    llvm::Value *first = halvesOf(e_, row(e_.mul(step, 2)));
    llvm::Value *second = halvesOf(e_, row(e_.add(e_.mul(step, 2), e_.i64(1))));
    std::array<llvm::Value *, 2> result{};
    for (int chain = 0; chain < 2; ++chain) {
      std::array<int, 32> order{};
      for (int column = 0; column < 16; ++column) {
        order[2 * column + 1] = 2 * column + chain;
        order[2 * column] = 32 + 2 * column + chain;
      }
      result[chain] = b_.CreateBitCast(b_.CreateShuffleVector(first, second, order), bf16());
    }
    return result;
  }

  std::array<llvm::Value *, 2> orderedColumns(llvm::Value *step, const Row &row) override {
    llvm::Value *even = row(e_.mul(step, 2)), *odd = row(e_.add(e_.mul(step, 2), e_.i64(1)));
    return {b_.CreateBitCast(even, bf16()), b_.CreateBitCast(odd, bf16())};
  }

  llvm::Value *add(llvm::Value *at, llvm::Value *columns, llvm::Value *sums) override {
    llvm::Value *factor = e_.splat(b_.CreateAlignedLoad(b_.getInt32Ty(), at, kElement));
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
                              {sums, b_.CreateBitCast(factor, bf16()), columns});
  }

private:
  llvm::Type *bf16() { return llvm::FixedVectorType::get(b_.getBFloatTy(), 32); }
};

std::unique_ptr<Multiplier> multiplierOf(Emit &e) {
  if (hasDots(e.target))
    return std::make_unique<ByDots>(e);
  return std::make_unique<ByTerm>(e);
}

/// As many rows side by side, of so many tiles, as hide the latency of their chains and stay in the registers, half of
/// which are for sums.
int rowsAtATime(const CpuTarget &target, int width) {
  return target.vectorRegisters / 4 / target.registersPerVector() / width;
}

/// Some rows by some tiles of columns.
struct Group {
  int height = 1, width = 1;
  int steps = 1;        // of each chain
  int64_t sumPitch = 0; // bytes from row to row
  bool startsFromZero = false;
};
using StepColumns = std::function<std::array<llvm::Value *, 2>(llvm::Value *step, int tile)>;

void emitGroup(Emit &e, Multiplier &by, const Group &group, llvm::Value *factors, const StepColumns &columns,
               llvm::Value *target) {
  llvm::IRBuilder<> &b = e.b;
  auto *f32 = e.vectorType(DType::F32);
  const int width = group.width, count = group.height * width;
  // Sums by row, tile, chain.
  const Values zeros(static_cast<size_t>(2 * count), llvm::Constant::getNullValue(f32));
  const Values chains = e.count(group.steps, zeros, [&](llvm::Value *step, const Values &sums) {
    Values vectors;
    for (int i = 0; i < width; ++i)
      std::ranges::copy(columns(step, i), std::back_inserter(vectors));
    Values next;
    for (int i = 0; i < 2 * count; ++i) {
      llvm::Value *factor = e.offset(factors, e.mul(step, 4));
      factor = e.offset(factor, i / (2 * width) * by.rowBytes() + i % 2 * by.chainBytes());
      next.push_back(by.add(factor, vectors[i % (2 * width)], sums[i]));
    }
    return next;
  });
  for (int i = 0; i < count; ++i) {
    llvm::Value *at = e.offset(target, i / width * group.sumPitch + i % width * kTilePitch);
    llvm::Value *sum = group.startsFromZero ? zeros[0] : b.CreateAlignedLoad(f32, at, kElement);
    b.CreateAlignedStore(b.CreateFAdd(sum, b.CreateFAdd(chains[2 * i], chains[2 * i + 1])), at, kElement);
  }
}

/// The rows of a tile at `first`, 16 pairs each.
Multiplier::Row rowsOfTile(Emit &e, llvm::Value *first) {
  return [&e, first](llvm::Value *row) {
    return e.b.CreateAlignedLoad(e.vectorType(DType::I32), e.offset(first, e.mul(row, kTilePitch)), kElement);
  };
}

/// The function's body.
class Products {
public:
  Products(Emit &e, Multiplier &by, bool ordered) : e_(e), b_(e.b), by_(by), ordered_(ordered) {}

  void emit() {
    factors_ = e_.argument(A);
    factorTile_ = e_.argument(ATileStride);
    if (by_.storesFactors())
      storeFactors();
    // Two tiles share each factor, where the registers hold sums and columns of both.
    if (e_.target.registersPerVector() == 1 && e_.target.vectorRegisters >= 32)
      emitIf(
          e_, b_.CreateICmpEQ(e_.argument(ColumnTiles), e_.i64(2)), [&] { multiply(2, e_.i64(0)); },
          [&] { multiply(1, e_.i64(0)); });
    else
      tiles(ColumnTiles, [&](llvm::Value *tile) { multiply(1, tile); });
  }

private:
  enum Argument { Sums, A, ATileStride, B, BTileStride, RowTiles, ColumnTiles };

  void tiles(Argument count, const std::function<void(llvm::Value *)> &body) {
    e_.loop(e_.i64(0), e_.argument(count), 1, body, false);
  }

  /// Of a tile of A or B: loads rows of 16 pairs.
  Multiplier::Row rows(Argument operand, llvm::Value *tile) {
    return rowsOfTile(e_, e_.offset(e_.argument(operand), b_.CreateMul(tile, e_.argument(operand + 1))));
  }

  void storeFactors() {
    factors_ = e_.stack(2 * kTileRows * by_.rowBytes(), kCacheLine);
    factorTile_ = e_.i64(kTileRows * by_.rowBytes());
    tiles(RowTiles, [&](llvm::Value *tile) {
      e_.count(kTileRows, [&](llvm::Value *row) {
        llvm::Value *place = e_.add(e_.mul(tile, kTileRows * by_.rowBytes()), e_.mul(row, by_.rowBytes()));
        by_.storeFactors(rows(A, tile)(row), e_.offset(factors_, place));
      });
    });
  }

  /// All rows by so many tiles of columns.
  void multiply(int width, llvm::Value *firstTile) {
    const Group group{rowsAtATime(e_.target, width), width, by_.steps(), kSumPitch};
    tiles(RowTiles, [&](llvm::Value *tile) {
      llvm::Value *factors = e_.offset(factors_, b_.CreateMul(tile, factorTile_));
      llvm::Value *place = e_.add(e_.mul(tile, kTileRows * kSumPitch), e_.mul(firstTile, kTilePitch));
      llvm::Value *sums = e_.offset(e_.argument(Sums), place);
      e_.count(kTileRows / group.height, [&](llvm::Value *number) {
        emitGroup(
            e_, by_, group, e_.offset(factors, e_.mul(number, group.height * by_.rowBytes())),
            [&](llvm::Value *step, int i) {
              const Multiplier::Row row = rows(B, e_.add(firstTile, e_.i64(i)));
              return ordered_ ? by_.orderedColumns(step, row) : by_.columns(step, row);
            },
            e_.offset(sums, e_.mul(number, group.height * kSumPitch)));
      });
    });
  }

  Emit &e_;
  llvm::IRBuilder<> &b_;
  Multiplier &by_;
  bool ordered_;
  llvm::Value *factors_ = nullptr, *factorTile_ = nullptr;
};

} // namespace

llvm::Value *tileRow(Emit &e, llvm::Value *pairs) {
  if (!hasDots(e.target))
    return pairs;
  std::array<int, 32> order{};
  for (int step = 0; step < 8; ++step)
    for (int chain = 0; chain < 2; ++chain) {
      const auto [lower, upper] = orderedPair(e.target, 2 * step + chain);
      order[2 * (8 * chain + step)] = static_cast<int>(lower);
      order[2 * (8 * chain + step) + 1] = static_cast<int>(upper);
    }
  return e.b.CreateBitCast(e.b.CreateShuffleVector(halvesOf(e, pairs), order), pairs->getType());
}

llvm::Function *emulatedTileProducts(Emit &e, bool ordered) {
  const char *name = ordered ? "gradc.tile_products.ordered" : "gradc.tile_products";
  if (llvm::Function *known = e.module.getFunction(name))
    return known;
  llvm::IRBuilder<> &b = e.b;
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  llvm::Type *pointer = b.getPtrTy(), *number = b.getInt64Ty();
  llvm::Function *fn =
      e.beginHelper(name, std::vector{pointer, pointer, number, pointer, number, number, number});
  emitFlushing(e, [&] { Products(e, *multiplierOf(e), ordered).emit(); });
  e.endFunction();
  return fn;
}

std::array<int64_t, 2> orderedPair(const CpuTarget &target, int64_t row) {
  if (!hasDots(target))
    return {2 * row, 2 * row + 1};
  const int64_t upper = row / 2 * 4 + row % 2;
  return {upper + 2, upper};
}

int64_t orderedRows(int64_t depth) { return 2 * ceilDiv(depth, 4); }

void emitFlushing(Emit &e, const std::function<void()> &body) {
  llvm::IRBuilder<> &b = e.b;
  llvm::Value *saved = e.stack(4, 4), *flushing = e.stack(4, 4);
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {saved});
  b.CreateStore(b.getInt32(0x9fc0), flushing); // exceptions masked, nearest even, FTZ and DAZ
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {flushing});
  body();
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {saved});
}

RowProducts::RowProducts(Emit &e, const Shape &shape, llvm::Value *a)
    : e_(e), shape_(shape), by_(multiplierOf(e)), factors_(a) {
  if (!by_->storesFactors())
    return;
  factors_ = e.stack(shape.rows * by_->rowBytes(), kCacheLine);
  e.count(shape.rows, [&](llvm::Value *row) {
    by_->storeFactors(rowsOfTile(e, a)(row), e.offset(factors_, e.mul(row, by_->rowBytes())));
  });
}

RowProducts::RowProducts(RowProducts &&) noexcept = default;
RowProducts::~RowProducts() = default;

/// Terms beyond the depth are +0: a chain that does without them ends with the same number, but for −0 in place of +0,
/// and that leaves a sum as it is that has started from +0.
void RowProducts::multiply(llvm::Value *columns, llvm::Value *sums) {
  const int all = by_->steps(), height = std::min<int>(rowsAtATime(e_.target, 1), shape_.rows);
  const Group group{height, 1, static_cast<int>(ceilDiv(shape_.depth * all, kTileDepth)), shape_.sumPitch,
                    shape_.startsFromZero};
  e_.count(shape_.rows / height, [&](llvm::Value *number) {
    emitGroup(
        e_, *by_, group, e_.offset(factors_, e_.mul(number, height * by_->rowBytes())),
        [&](llvm::Value *step, int) { return by_->orderedColumns(step, rowsOfTile(e_, columns)); },
        e_.offset(sums, e_.mul(number, height * shape_.sumPitch)));
  });
}

} // namespace gradc
