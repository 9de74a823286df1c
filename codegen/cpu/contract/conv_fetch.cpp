#include "codegen/cpu/contract/conv_fetch.h"

#include "codegen/cpu/contract/block_copy.h"

namespace gradc {

bool ConvFetch::pays() const {
  constexpr int64_t kEnoughDepth = 32; // for the fetches of a tile to be few in each iteration
  return nest_.packInput && nest_.kernelHeight * nest_.kernelWidth == 1 && nest_.depth >= kEnoughDepth;
}

void ConvFetch::operand(const Share &share, llvm::Value *iteration, int64_t iterations) const {
  const int64_t each = ceilDiv(share.lines, iterations);
  emitBlockPrefetch(e, {share.rows, nest_.inDepth}, share.rowLines,
                    e.add(share.first, e.mul(iteration, each)), each);
}

void ConvFetch::result(const Place &place, llvm::Value *iteration, int64_t iterations) const {
  LaneMath math(e);
  const int64_t pixels = place.rows * place.columns, each = ceilDiv(place.channels * pixels, iterations);
  llvm::Value *first = e.mul(iteration, each);
  for (int64_t i = 0; i < each; ++i) {
    llvm::Value *vector = e.add(first, e.i64(i)), *pixel = e.mod(vector, pixels);
    store_.prefetchPlace(LaneIndex::of({math.consecutive(e.mul(place.block, kVectorLanes), kVectorLanes),
                                        math.uniform(e.add(place.channel, e.div(vector, pixels))),
                                        math.uniform(e.add(place.row, e.div(pixel, place.columns))),
                                        math.uniform(e.add(place.column, e.mod(pixel, place.columns)))}));
  }
}

} // namespace gradc
