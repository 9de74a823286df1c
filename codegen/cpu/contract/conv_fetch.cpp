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

} // namespace gradc
