#include "codegen/cpu/amx/tile_pack.h"

#include <array>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/amx/tile_emulation.h"
#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/transpose.h"

namespace gradc {
namespace {

constexpr int64_t kBlock = 16;

class TilePacker {
public:
  TilePacker(Emit &e, const TileMatrix &matrix, const TilePacking &packing)
      : e_(e), b_(e.b), matrix_(matrix), packing_(packing) {}

  void pack(llvm::Value *source, int64_t rows, int64_t depth, llvm::Value *target) {
    if (packing_.form == TileForm::Ordered)
      return packOrdered(source, rows, depth, target);
    const bool rowsHere = matrix_.depthContiguous(),
               transposes = rowsHere != (packing_.form == TileForm::Rows);
    auto load = [&](int64_t i) { return loadPair(source, i, rows, depth); };
    if (!transposes) {
      for (int64_t i = 0; i < kTileRows; ++i)
        store(target, i, piecesOf(load(i), rowsHere));
      return;
    }
    std::vector<Pair> pairs;
    for (int64_t i = 0; i < kTileRows; ++i)
      pairs.push_back(load(i));
    if (packing_.pieces > 1) { // transposed while they are one f32: two transpositions instead of three
      pairs = rowsHere ? columnsOfRows(pairs) : rowsOfColumns(pairs);
      for (int64_t i = 0; i < kTileRows; ++i)
        store(target, i, piecesOf(pairs[i], !rowsHere));
      return;
    }
    Values joined;
    for (const Pair &pair : pairs)
      joined.push_back(piecesOf(pair, rowsHere)[0]);
    transpose16(e_, joined);
    for (int64_t i = 0; i < kTileRows; ++i)
      store(target, i, {joined[i]});
  }

  void packOrdered(llvm::Value *source, int64_t rows, int64_t depth, llvm::Value *target) {
    const bool rowsHere = matrix_.depthContiguous();
    Values lines;
    for (int64_t i = 0; i < kTileRows; ++i) {
      const auto [lower, upper] = orderedPair(e_.target, i);
      lines.push_back(
          rowsHere ? ordered(piecesOf(loadPair(source, i, rows, depth), true)[0])
                   : piecesOf({loadDepth(source, lower, rows, depth), loadDepth(source, upper, rows, depth)},
                              false)[0]);
    }
    if (rowsHere)
      transpose16(e_, lines);
    for (int64_t i = 0; i < packing_.orderedRows; ++i)
      store(target, i, {lines[i]});
  }

  void packRow(llvm::Value *source, int64_t depth, llvm::Value *target) {
    store(target, 0, piecesOf(loadPair(source, 0, 1, depth), true));
  }

private:
  llvm::Type *vectorType() { return e_.vectorType(matrix_.dtype); }

  llvm::Value *loadVector(llvm::Value *address, int64_t count) {
    llvm::Constant *zero = llvm::Constant::getNullValue(vectorType());
    const llvm::Align align(dtypeSize(matrix_.dtype));
    if (count <= 0)
      return zero;
    if (count >= kBlock)
      return b_.CreateAlignedLoad(vectorType(), address, align);
    return b_.CreateMaskedLoad(vectorType(), address, align, e_.laneMask(static_cast<int>(count)), zero);
  }

  /// Two vectors: where the depth is contiguous the halves of row i, else all rows at depth 2i and 2i + 1.
  using Pair = std::array<llvm::Value *, 2>;
  Pair loadPair(llvm::Value *source, int64_t i, int64_t rows, int64_t depth) {
    Pair pair{};
    for (int64_t half = 0; half < 2; ++half) {
      if (matrix_.depthContiguous()) {
        pair[half] = loadVector(e_.offset(source, i * matrix_.rowStride + half * matrix_.depthBlock),
                                i < rows ? depth - half * kBlock : 0);
        continue;
      }
      pair[half] = loadDepth(source, 2 * i + half, rows, depth);
    }
    return pair;
  }

  /// All rows at a place of the depth.
  llvm::Value *loadDepth(llvm::Value *source, int64_t place, int64_t rows, int64_t depth) {
    llvm::Value *address =
        e_.offset(source, place / kBlock * matrix_.depthBlock + place % kBlock * matrix_.depthStride);
    prefetchNext(address);
    return loadVector(address, place < depth ? rows : 0);
  }

  /// The next 32 of the depth are that many rows of memory away, where no processor looks for them by itself.
  void prefetchNext(llvm::Value *address) {
    constexpr int64_t kNear = 256 << 10;
    if (!packing_.fetches ||
        matrix_.rows * matrix_.depth * static_cast<int64_t>(dtypeSize(matrix_.dtype)) <= kNear)
      return;
    emitPrefetch(e_, e_.offset(address, 2 * matrix_.depthBlock), Cache::L1);
  }

  void store(llvm::Value *target, int64_t row, const Values &pieces) {
    for (size_t piece = 0; piece < pieces.size(); ++piece)
      b_.CreateAlignedStore(
          packing_.form == TileForm::Rows ? tileRow(e_, pieces[piece]) : pieces[piece],
          e_.offset(target, static_cast<int64_t>(piece) * packing_.pieceStride + row * kTilePitch),
          llvm::Align(64));
  }

  /// Transposes both halves of 16 × 32 numbers.
  std::vector<Pair> columnsOfRows(const std::vector<Pair> &rows) {
    Values columns;
    for (int half = 0; half < 2; ++half) {
      Values block;
      for (const Pair &row : rows)
        block.push_back(row[half]);
      transpose16(e_, block);
      columns.insert(columns.end(), block.begin(), block.end());
    }
    std::vector<Pair> pairs;
    for (size_t i = 0; i < columns.size(); i += 2)
      pairs.push_back({columns[i], columns[i + 1]});
    return pairs;
  }
  std::vector<Pair> rowsOfColumns(const std::vector<Pair> &columns) {
    std::vector<Pair> rows(columns.size());
    for (size_t half = 0; half < 2; ++half) {
      Values block;
      for (size_t i = 0; i < columns.size() / 2; ++i)
        for (llvm::Value *column : columns[half * columns.size() / 2 + i])
          block.push_back(column);
      transpose16(e_, block);
      for (size_t i = 0; i < rows.size(); ++i)
        rows[i][half] = block[i];
    }
    return rows;
  }

  /// A row of the tile for each bf16 piece of two vectors: one after the other for the halves of a row, interleaved
  /// for neighbours of the depth.
  Values piecesOf(Pair pair, bool halves) {
    auto *i32 = e_.vectorType(DType::I32);
    auto *words = llvm::FixedVectorType::get(b_.getInt16Ty(), 2 * kVectorLanes);
    if (packing_.pieces == 1) {
      if (matrix_.dtype == DType::BF16)
        return {join(pair[0], pair[1], halves, 1)};
      auto rounded = [&](int i) {
        llvm::Value *f32 = emitCast(e_, pair[i], matrix_.dtype, DType::F32);
        return b_.CreateBitCast(emitRoundToBf16(e_, f32), words);
      };
      return {join(rounded(0), rounded(1), halves, 2)};
    }
    Values pieces;
    for (int piece = 0; piece < packing_.pieces; ++piece) {
      llvm::Value *bits[2] = {b_.CreateBitCast(pair[0], i32), b_.CreateBitCast(pair[1], i32)};
      llvm::Value *heads[2];
      for (int i = 0; i < 2; ++i) {
        heads[i] = b_.CreateAnd(bits[i], llvm::ConstantInt::get(i32, 0xffff0000));
        if (piece + 1 < packing_.pieces) // exact
          pair[i] = b_.CreateFSub(pair[i], b_.CreateBitCast(heads[i], pair[i]->getType()));
      }
      pieces.push_back(halves
                           ? join(b_.CreateBitCast(bits[0], words), b_.CreateBitCast(bits[1], words), true, 2)
                           : b_.CreateOr(b_.CreateLShr(bits[0], llvm::ConstantInt::get(i32, 16)), heads[1]));
    }
    return pieces;
  }

  /// Every `step`-th word, the last of each group: of the first vector and then the second, or in turn.
  llvm::Value *join(llvm::Value *first, llvm::Value *second, bool halves, int step) {
    std::vector<int> order;
    for (int i = 0; i < 2 * kVectorLanes; ++i)
      order.push_back((halves ? i : i / 2 + i % 2 * kVectorLanes) * step + step - 1);
    return b_.CreateBitCast(b_.CreateShuffleVector(first, second, order), e_.vectorType(DType::I32));
  }

  /// The pairs of a packed row where the rows of an ordered tile have them.
  llvm::Value *ordered(llvm::Value *pairs) {
    std::vector<int> order;
    for (int64_t row = 0; row < kTileRows; ++row)
      for (int64_t half : orderedPair(e_.target, row))
        order.push_back(static_cast<int>(half));
    auto *words = llvm::FixedVectorType::get(b_.getInt16Ty(), 2 * kVectorLanes);
    llvm::Value *halves = b_.CreateBitCast(pairs, words);
    return b_.CreateBitCast(b_.CreateShuffleVector(halves, halves, order), pairs->getType());
  }

  Emit &e_;
  llvm::IRBuilder<> &b_;
  const TileMatrix &matrix_;
  const TilePacking &packing_;
};

} // namespace

void emitPackTile(Emit &e, const TileMatrix &matrix, const TilePacking &packing, llvm::Value *source,
                  int64_t rows, int64_t depth, llvm::Value *target) {
  TilePacker(e, matrix, packing).pack(source, rows, depth, target);
}

void emitPackRow(Emit &e, const TileMatrix &matrix, const TilePacking &packing, llvm::Value *source,
                 int64_t depth, llvm::Value *target) {
  TilePacker(e, matrix, packing).packRow(source, depth, target);
}

} // namespace gradc
