#include "codegen/cpu/amx/tile_emulation.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"

namespace gradc {
namespace {

const llvm::Align kElement(4); // operands lie anywhere

llvm::Value *halvesOf(Emit &e, llvm::Value *pairs) {
  return e.b.CreateBitCast(pairs, llvm::FixedVectorType::get(e.b.getInt16Ty(), 2 * kVectorLanes));
}

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
  /// The factor stored at `at` times columns, added to the sums of one row of A.
  virtual llvm::Value *add(llvm::Value *at, llvm::Value *columns, llvm::Value *sums) = 0;

  int64_t chainBytes() const { return steps() * int64_t{4}; }

protected:
  Emit &e_;
  llvm::IRBuilder<> &b_;
};

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

  llvm::Value *add(llvm::Value *at, llvm::Value *columns, llvm::Value *sums) override {
    llvm::Value *factor = e_.splat(b_.CreateAlignedLoad(b_.getInt32Ty(), at, kElement));
    return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
                              {sums, b_.CreateBitCast(factor, bf16()), columns});
  }

private:
  llvm::Type *bf16() { return llvm::FixedVectorType::get(b_.getBFloatTy(), 32); }
};

/// The function's body.
class Products {
public:
  Products(Emit &e, Multiplier &by) : e_(e), b_(e.b), by_(by) {}

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
    llvm::Value *first = e_.offset(e_.argument(operand), b_.CreateMul(tile, e_.argument(operand + 1)));
    return [this, first](llvm::Value *row) {
      return b_.CreateAlignedLoad(e_.vectorType(DType::I32), e_.offset(first, e_.mul(row, kTilePitch)),
                                  kElement);
    };
  }

  void storeFactors() {
    factors_ = e_.stack(2 * kTileRows * rowBytes(), kCacheLine);
    factorTile_ = e_.i64(kTileRows * rowBytes());
    tiles(RowTiles, [&](llvm::Value *tile) {
      e_.count(kTileRows, [&](llvm::Value *row) {
        llvm::Value *place = e_.add(e_.mul(tile, kTileRows * rowBytes()), e_.mul(row, rowBytes()));
        by_.storeFactors(rows(A, tile)(row), e_.offset(factors_, place));
      });
    });
  }

  /// All rows by so many tiles of columns. As many rows side by side as hide the latency of their chains and stay in the
  /// registers, half of which are for sums.
  void multiply(int width, llvm::Value *firstTile) {
    const int height = e_.target.vectorRegisters / 4 / e_.target.registersPerVector() / width;
    tiles(RowTiles, [&](llvm::Value *tile) {
      llvm::Value *factors = e_.offset(factors_, b_.CreateMul(tile, factorTile_));
      llvm::Value *place = e_.add(e_.mul(tile, kTileRows * kSumPitch), e_.mul(firstTile, kTilePitch));
      llvm::Value *sums = e_.offset(e_.argument(Sums), place);
      e_.count(kTileRows / height, [&](llvm::Value *group) {
        multiply(height, e_.offset(factors, e_.mul(group, height * rowBytes())), width, firstTile,
                 e_.offset(sums, e_.mul(group, height * kSumPitch)));
      });
    });
  }

  void multiply(int height, llvm::Value *factors, int width, llvm::Value *firstTile, llvm::Value *target) {
    auto *f32 = e_.vectorType(DType::F32);
    // Sums by row, tile, chain.
    const Values zeros(static_cast<size_t>(2 * height * width), llvm::Constant::getNullValue(f32));
    const Values chains = e_.count(by_.steps(), zeros, [&](llvm::Value *step, const Values &sums) {
      Values vectors;
      for (int i = 0; i < width; ++i)
        std::ranges::copy(by_.columns(step, rows(B, e_.add(firstTile, e_.i64(i)))),
                          std::back_inserter(vectors));
      Values next;
      for (int i = 0; i < 2 * height * width; ++i) {
        llvm::Value *factor = e_.offset(factors, e_.mul(step, 4));
        factor = e_.offset(factor, i / (2 * width) * rowBytes() + i % 2 * by_.chainBytes());
        next.push_back(by_.add(factor, vectors[i % (2 * width)], sums[i]));
      }
      return next;
    });
    for (int i = 0; i < height * width; ++i) {
      llvm::Value *at = e_.offset(target, i / width * kSumPitch + i % width * kTilePitch);
      llvm::Value *terms = b_.CreateFAdd(chains[2 * i], chains[2 * i + 1]);
      b_.CreateAlignedStore(b_.CreateFAdd(b_.CreateAlignedLoad(f32, at, kElement), terms), at, kElement);
    }
  }

  int64_t rowBytes() const { return 2 * by_.chainBytes(); } // of A, as factors

  Emit &e_;
  llvm::IRBuilder<> &b_;
  Multiplier &by_;
  llvm::Value *factors_ = nullptr, *factorTile_ = nullptr;
};

} // namespace

llvm::Value *tileRow(Emit &e, llvm::Value *pairs) {
  if (!hasDots(e.target))
    return pairs;
  std::array<int, 32> order{};
  for (int step = 0; step < 8; ++step)
    for (int chain = 0; chain < 2; ++chain) {
      order[2 * (8 * chain + step) + 1] = 4 * step + chain;
      order[2 * (8 * chain + step)] = 4 * step + 2 + chain;
    }
  return e.b.CreateBitCast(e.b.CreateShuffleVector(halvesOf(e, pairs), order), pairs->getType());
}

llvm::Function *emulatedTileProducts(Emit &e) {
  constexpr const char *kName = "gradc.tile_products";
  if (llvm::Function *known = e.module.getFunction(kName))
    return known;
  llvm::IRBuilder<> &b = e.b;
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  llvm::Type *pointer = b.getPtrTy(), *number = b.getInt64Ty();
  llvm::Function *fn =
      e.beginHelper(kName, std::vector{pointer, pointer, number, pointer, number, number, number});
  llvm::Value *saved = b.CreateAlloca(b.getInt32Ty()), *flushing = b.CreateAlloca(b.getInt32Ty());
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {saved});
  b.CreateStore(b.getInt32(0x9fc0), flushing); // exceptions masked, nearest even, FTZ and DAZ
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {flushing});
  if (hasDots(e.target)) {
    ByDots dots(e);
    Products(e, dots).emit();
  } else {
    ByTerm terms(e);
    Products(e, terms).emit();
  }
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {saved});
  e.endFunction();
  return fn;
}

} // namespace gradc
