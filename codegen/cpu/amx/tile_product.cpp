#include "codegen/cpu/amx/tile_product.h"

#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/cpu/amx/tile_emulation.h"
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

void TileProduct::load(int tile, llvm::Value *address) {
  e_.b.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {},
                       {e_.b.getInt8(static_cast<uint8_t>(tile)), address, e_.i64(kTilePitch)});
}

void TileProduct::multiply(int sum, int a, int b) {
  auto id = [&](int tile) { return e_.b.getInt8(static_cast<uint8_t>(tile)); };
  e_.b.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps, {}, {id(sum), id(a), id(b)});
}

int TileProduct::parts() const { return static_cast<int>(productsOf(block_.pieces).size()); }

void TileProduct::step(llvm::Value *a, llvm::Value *b, const std::function<void(int part)> &beside) {
  int pieceA = -1, pieceB = -1, part = 0;
  for (const auto &[lhs, rhs] : productsOf(block_.pieces)) {
    const int nextA = block_.columnsAreLhs ? rhs : lhs, nextB = block_.columnsAreLhs ? lhs : rhs;
    llvm::Value *rows = e_.offset(a, nextA * block_.a.pieceStride);
    llvm::Value *columns = e_.offset(b, nextB * block_.b.pieceStride);
    if (!hasTileUnit(e_.target)) {
      e_.b.CreateCall(emulatedTileProducts(e_, block_.ordered),
                      {sums_, rows, e_.i64(block_.a.tileStride), columns, e_.i64(block_.b.tileStride),
                       e_.i64(block_.rowTiles), e_.i64(block_.columnTiles)});
      beside(part++);
      continue;
    }
    for (int j = 0; nextB != pieceB && j < block_.columnTiles; ++j)
      load(kColumnRegister + j, e_.offset(columns, j * block_.b.tileStride));
    for (int i = 0; nextA != pieceA && i < block_.rowTiles; ++i)
      load(kRowRegister + i, e_.offset(rows, i * block_.a.tileStride));
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
