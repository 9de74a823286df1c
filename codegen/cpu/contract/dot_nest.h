// Matrix products of few rows by a matrix that lies transposed, result[m, u] = Σ a[m, k] · b[u, k]: dot products of
// rows as they lie in memory. 16 neighbours along k are in the lanes, each lane one partial sum (ir/order.h), so b is
// streamed once and nothing is packed. Tiles are columns of the result × its rows.
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

struct DotNest {
  int64_t units = 1, examples = 1, depth = 1;
  RegisterTile tile; // rows: units; vectors: examples

  int64_t items() const;
  int64_t scratchBytes() const { return 0; }
};

/// Emits the loop over grid items in the kernel function at the insertion point.
void emitNest(TileKernels &tiles, const DotNest &nest, llvm::Value *units, llvm::Value *examples);

} // namespace gradc
