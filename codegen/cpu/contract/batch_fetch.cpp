#include "codegen/cpu/contract/batch_fetch.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;

} // namespace

int64_t BatchFetch::rowLines() const { return ceilDiv(nest_.reduction.extent * kFloat, kCacheLine); }

Values BatchFetch::shares(const Tile &tile) const {
  // Whole rows are read once: the next tile's are next. Of neighbouring rows every tile reads some of each line.
  llvm::Value *rows =
      rowsAreNeighbours()
          ? e.offset(e.offset(tile.rowOperand, nest_.rows * nest_.reduction.extent * kFloat),
                     e.mul(tile.row, rowLines() * kCacheLine))
          : e.offset(tile.rowOperand, e.mul(e.add(tile.row, e.i64(tile.rows)), nest_.rowStride));
  llvm::Value *before = e.add(e.mul(tile.row, tile.allColumns), e.mul(tile.column, tile.rows));
  llvm::Value *lines = e.div(e.mul(before, nest_.reduction.extent), nest_.rows);
  return {rows, e.offset(tile.nextColumns, e.mul(lines, kCacheLine))};
}

void BatchFetch::emit(llvm::Value *rowShare, llvm::Value *columnShare, int64_t rows, int64_t columns,
                      llvm::Value *iteration, int64_t iterations) const {
  fetch(rowShare, rows * rowLines(), iteration, iterations);
  fetch(columnShare, ceilDiv(rows * columns * nest_.reduction.extent, nest_.rows), iteration, iterations);
}

void BatchFetch::fetch(llvm::Value *begin, int64_t lines, llvm::Value *iteration, int64_t iterations) const {
  const int64_t each = ceilDiv(lines, iterations);
  for (int64_t i = 0; i < each; ++i)
    emitPrefetch(e, e.offset(e.offset(begin, i * kCacheLine), e.mul(iteration, each * kCacheLine)),
                 Cache::L2);
}

} // namespace gradc
