#include "codegen/cpu/amx/tile_product.h"

#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/cpu/tile_unit.h"
#include "support/check.h"

namespace gradc {
namespace {

// Tile registers: sums 0 … 3, row operand 4 and 5, column operand 6 and 7.
constexpr int kRowRegister = 4, kColumnRegister = 6;

/// The products of split numbers, smallest first; neighbours share an operand, so that one tile is loaded for each.
/// hi·lo, hi·mid, mid·mid, mid·hi, lo·hi, hi·hi of lhs and rhs (0 is hi).
constexpr int kSplitProducts[][2] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
constexpr int kOneProduct[][2] = {{0, 0}};

std::span<const int[2]> productsOf(int pieces) {
  CHECK(pieces == 1 || pieces == 3);
  return pieces == 1 ? std::span<const int[2]>(kOneProduct) : std::span<const int[2]>(kSplitProducts);
}

/// Palette 1: eight tiles of 16 rows of 64 bytes.
llvm::Constant *tileConfiguration(llvm::LLVMContext &context) {
  uint8_t bytes[64] = {1};
  for (int tile = 0; tile < 8; ++tile) {
    bytes[16 + 2 * tile] = kTilePitch;
    bytes[48 + tile] = kTileRows;
  }
  return llvm::ConstantDataArray::get(context, llvm::ArrayRef<uint8_t>(bytes));
}

/// void dot(sums, a, aPitch, b, bPitch): one product of tiles in memory, with the rounding of the instruction.
llvm::Function *emulatedProduct(Emit &e) {
  constexpr const char *kName = "gradc.tile_product";
  if (llvm::Function *known = e.module.getFunction(kName))
    return known;
  llvm::IRBuilder<> &b = e.b;
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  llvm::Type *pointer = b.getPtrTy(), *number = b.getInt64Ty();
  llvm::Function *fn = e.beginHelper(kName, std::vector{pointer, pointer, number, pointer, number});
  llvm::Value *saved = b.CreateAlloca(b.getInt32Ty()), *flushing = b.CreateAlloca(b.getInt32Ty());
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_stmxcsr, {}, {saved});
  b.CreateStore(b.getInt32(0x9fc0), flushing); // exceptions masked, nearest even, FTZ and DAZ
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {flushing});
  auto *i32 = e.vectorType(DType::I32);
  auto *f32 = e.vectorType(DType::F32);
  const llvm::Align align(4);
  auto even = [&](llvm::Value *pair) {
    return b.CreateBitCast(b.CreateShl(pair, llvm::ConstantInt::get(i32, 16)), f32);
  };
  auto odd = [&](llvm::Value *pair) {
    return b.CreateBitCast(b.CreateAnd(pair, llvm::ConstantInt::get(i32, 0xffff0000)), f32);
  };
  llvm::Constant *zero = llvm::Constant::getNullValue(f32);
  e.count(kTileRows, [&](llvm::Value *row) {
    llvm::Value *a = e.offset(fn->getArg(1), b.CreateMul(row, fn->getArg(2)));
    Values chains = e.count(kTileRows, {zero, zero}, [&](llvm::Value *pair, const Values &sums) {
      llvm::Value *x = e.splat(b.CreateAlignedLoad(b.getInt32Ty(), e.offset(a, e.mul(pair, 4)), align));
      llvm::Value *y =
          b.CreateAlignedLoad(i32, e.offset(fn->getArg(3), b.CreateMul(pair, fn->getArg(4))), align);
      return Values{e.fma(even(x), even(y), sums[0]), e.fma(odd(x), odd(y), sums[1])};
    });
    llvm::Value *at = e.offset(fn->getArg(0), e.mul(row, kSumPitch));
    llvm::Value *terms = b.CreateFAdd(chains[0], chains[1]);
    b.CreateAlignedStore(b.CreateFAdd(b.CreateAlignedLoad(f32, at, align), terms), at, align);
  });
  b.CreateIntrinsic(llvm::Intrinsic::x86_sse_ldmxcsr, {}, {saved});
  e.endFunction();
  return fn;
}

} // namespace

llvm::Value *TileProduct::sumsOf(int tile) const {
  return e_.offset(sums_, tile / 2 * kTileRows * kSumPitch + tile % 2 * kTilePitch);
}

void TileProduct::zero() {
  for (int i = 0; i < block_.rowTiles; ++i)
    for (int j = 0; j < block_.columnTiles; ++j) {
      if (hasTileUnit(e_.target)) {
        e_.b.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {},
                             {e_.b.getInt8(static_cast<uint8_t>(2 * i + j))});
        continue;
      }
      llvm::Value *sums = sumsOf(2 * i + j);
      for (int64_t row = 0; row < kTileRows; ++row)
        e_.b.CreateAlignedStore(llvm::Constant::getNullValue(e_.vectorType(DType::F32)),
                                e_.offset(sums, row * kSumPitch), llvm::Align(4));
    }
}

void TileProduct::load(int tile, llvm::Value *address, int64_t pitch) {
  if (hasTileUnit(e_.target))
    e_.b.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {},
                         {e_.b.getInt8(static_cast<uint8_t>(tile)), address, e_.i64(pitch)});
  loaded_[tile] = {address, pitch};
}

void TileProduct::multiply(int sum, int a, int b) {
  auto id = [&](int tile) { return e_.b.getInt8(static_cast<uint8_t>(tile)); };
  if (hasTileUnit(e_.target)) {
    e_.b.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps, {}, {id(sum), id(a), id(b)});
    return;
  }
  const Loaded &x = loaded_[a], &y = loaded_[b];
  e_.b.CreateCall(emulatedProduct(e_), {sumsOf(sum), x.address, e_.i64(x.pitch), y.address, e_.i64(y.pitch)});
}

int TileProduct::parts() const { return static_cast<int>(productsOf(block_.pieces).size()); }

void TileProduct::step(llvm::Value *a, llvm::Value *b, const std::function<void(int part)> &beside) {
  int pieceA = -1, pieceB = -1, part = 0;
  for (const auto &[lhs, rhs] : productsOf(block_.pieces)) {
    const int nextA = block_.columnsAreLhs ? rhs : lhs, nextB = block_.columnsAreLhs ? lhs : rhs;
    for (int j = 0; nextB != pieceB && j < block_.columnTiles; ++j)
      load(kColumnRegister + j, e_.offset(b, nextB * block_.b.pieceStride + j * block_.b.tileStride),
           block_.b.pitch);
    for (int i = 0; nextA != pieceA && i < block_.rowTiles; ++i)
      load(kRowRegister + i, e_.offset(a, nextA * block_.a.pieceStride + i * block_.a.tileStride),
           block_.a.pitch);
    pieceA = nextA;
    pieceB = nextB;
    for (int i = 0; i < block_.rowTiles; ++i)
      for (int j = 0; j < block_.columnTiles; ++j)
        multiply(2 * i + j, kRowRegister + i, kColumnRegister + j);
    beside(part++);
  }
}

/// Sums between memory and their registers.
void TileProduct::move(llvm::Intrinsic::ID instruction) {
  if (!hasTileUnit(e_.target))
    return; // they are there
  for (int i = 0; i < block_.rowTiles; ++i)
    for (int j = 0; j < block_.columnTiles; ++j)
      e_.b.CreateIntrinsic(
          instruction, {},
          {e_.b.getInt8(static_cast<uint8_t>(2 * i + j)), sumsOf(2 * i + j), e_.i64(kSumPitch)});
}

void TileProduct::resume() { move(llvm::Intrinsic::x86_tileloadd64); }

void TileProduct::store() { move(llvm::Intrinsic::x86_tilestored64); }

void emitTileBegin(Emit &e) {
  if (!hasTileUnit(e.target))
    return;
  llvm::Constant *bytes = tileConfiguration(e.module.getContext());
  auto *configuration = new llvm::GlobalVariable(
      e.module, bytes->getType(), true, llvm::GlobalValue::PrivateLinkage, bytes, "tile_configuration");
  configuration->setAlignment(llvm::Align(64));
  e.b.CreateIntrinsic(llvm::Intrinsic::x86_ldtilecfg, {}, {configuration});
}

void emitTileEnd(Emit &e) {
  if (hasTileUnit(e.target))
    e.b.CreateIntrinsic(llvm::Intrinsic::x86_tilerelease, {}, {});
}

} // namespace gradc
