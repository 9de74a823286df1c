#include "codegen/cpu/amx/tile_emulation.h"

#include <array>

#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"

namespace gradc {
namespace {

const llvm::Align kElement(4); // operands lie anywhere

/// What one instruction multiplies: a factor in all lanes with 16 columns, for the chain of even terms and for that of
/// odd ones. Terms come from vectors of pairs, the even one in the lower half of each lane.
class Multiplier {
public:
  explicit Multiplier(Emit &e) : e_(e), b_(e.b) {}
  virtual ~Multiplier() = default;

  /// Instructions of each chain for a tile's depth.
  virtual int steps() const = 0;
  /// Stores the factors of 16 pairs, a row of A: those of even terms, 4 bytes for each step, then those of odd ones.
  virtual void storeFactors(llvm::Value *pairs, llvm::Value *at) = 0;
  /// Of a step: for even and odd terms. `row` loads a row of B, 16 columns of a pair.
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

  void storeFactors(llvm::Value *pairs, llvm::Value *at) override {
    std::array<int, 32> order{};
    for (int step = 0; step < 8; ++step)
      for (int chain = 0; chain < 2; ++chain) {
        order[2 * (8 * chain + step) + 1] = 4 * step + chain;
        order[2 * (8 * chain + step)] = 4 * step + 2 + chain;
      }
    b_.CreateAlignedStore(b_.CreateShuffleVector(halves(pairs), order), at, llvm::Align(64));
  }

  std::array<llvm::Value *, 2> columns(llvm::Value *step, const Row &row) override {
    llvm::Value *first = halves(row(e_.mul(step, 2)));
    llvm::Value *second = halves(row(e_.add(e_.mul(step, 2), e_.i64(1))));
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
  llvm::Value *halves(llvm::Value *pairs) {
    return b_.CreateBitCast(pairs, llvm::FixedVectorType::get(b_.getInt16Ty(), 32));
  }
};

void emitProduct(Emit &e, llvm::Function *fn, Multiplier &by) {
  llvm::IRBuilder<> &b = e.b;
  auto *f32 = e.vectorType(DType::F32);
  enum { Sums, A, APitch, ATileStride, B, BPitch, BTileStride, RowTiles, ColumnTiles };
  auto tiles = [&](int count, const std::function<void(llvm::Value *)> &body) {
    e.loop(e.i64(0), fn->getArg(count), 1, body, false);
  };
  auto pairs = [&](int operand, llvm::Value *tile) { // rows of 16 pairs
    llvm::Value *first = e.offset(fn->getArg(operand), b.CreateMul(tile, fn->getArg(operand + 2)));
    return [&, first, operand](llvm::Value *row) {
      return b.CreateAlignedLoad(e.vectorType(DType::I32),
                                 e.offset(first, b.CreateMul(row, fn->getArg(operand + 1))), kElement);
    };
  };
  const int64_t pitch = 2 * by.chainBytes(), tileBytes = kTileRows * pitch;
  llvm::Value *factors = e.stack(2 * tileBytes, 64);
  tiles(RowTiles, [&](llvm::Value *tile) {
    e.count(kTileRows, [&](llvm::Value *row) {
      llvm::Value *at = e.offset(factors, e.add(e.mul(tile, tileBytes), e.mul(row, pitch)));
      by.storeFactors(pairs(A, tile)(row), at);
    });
  });
  // As many rows side by side as hide the latency of their chains and stay in the registers.
  const int rows = e.target.vectorRegisters / 4 / e.target.registersPerVector();
  auto group = [&](llvm::Value *number, llvm::Value *columnTile) {
    llvm::Value *first = e.offset(factors, e.mul(number, rows * pitch));
    const Values zeros(static_cast<size_t>(2 * rows), llvm::Constant::getNullValue(f32));
    const Values chains = e.count(by.steps(), zeros, [&](llvm::Value *step, const Values &sums) {
      const std::array<llvm::Value *, 2> columns = by.columns(step, pairs(B, columnTile));
      llvm::Value *factor = e.offset(first, e.mul(step, 4));
      Values next;
      for (int i = 0; i < 2 * rows; ++i)
        next.push_back(by.add(e.offset(factor, i * by.chainBytes()), columns[i % 2], sums[i]));
      return next;
    });
    llvm::Value *place = e.add(e.mul(number, rows * kSumPitch), e.mul(columnTile, kTilePitch));
    llvm::Value *sums = e.offset(fn->getArg(Sums), place);
    for (int i = 0; i < rows; ++i) {
      llvm::Value *at = e.offset(sums, i * kSumPitch);
      llvm::Value *terms = b.CreateFAdd(chains[2 * i], chains[2 * i + 1]);
      b.CreateAlignedStore(b.CreateFAdd(b.CreateAlignedLoad(f32, at, kElement), terms), at, kElement);
    }
  };
  llvm::Value *groups = e.mul(fn->getArg(RowTiles), kTileRows / rows);
  tiles(ColumnTiles, [&](llvm::Value *tile) {
    e.loop(e.i64(0), groups, 1, [&](llvm::Value *number) { group(number, tile); }, false);
  });
}

} // namespace

llvm::Function *emulatedTileProducts(Emit &e) {
  constexpr const char *kName = "gradc.tile_products";
  if (llvm::Function *known = e.module.getFunction(kName))
    return known;
  llvm::IRBuilder<> &b = e.b;
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  llvm::Type *pointer = b.getPtrTy(), *number = b.getInt64Ty();
  llvm::Function *fn = e.beginHelper(kName, std::vector{pointer, pointer, number, number, pointer, number, number, number, number});
  llvm::Value *saved = b.CreateAlloca(b.getInt32Ty()), *flushing = b.CreateAlloca(b.getInt32Ty());
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {saved});
  b.CreateStore(b.getInt32(0x9fc0), flushing); // exceptions masked, nearest even, FTZ and DAZ
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {flushing});
  if (hasDots(e.target)) {
    ByDots dots(e);
    emitProduct(e, fn, dots);
  } else {
    ByTerm terms(e);
    emitProduct(e, fn, terms);
  }
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {saved});
  e.endFunction();
  return fn;
}

} // namespace gradc
