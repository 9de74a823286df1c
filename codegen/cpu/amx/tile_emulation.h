// Products of tiles (tile_product.h) by vector code, to the bit.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// A packed row of A, 16 pairs of neighbours of the depth, as products read it: unchanged, but where dots multiply
/// (hasDots) each pair is two neighbours of a chain, the later one in the lower half; those of even terms come first.
llvm::Value *tileRow(Emit &e, llvm::Value *pairs);

/// `void product(sums, a, aTileStride, b, bTileStride, rowTiles, columnTiles)`, made once for each module: adds the
/// products of up to 2 × 2 tiles in memory to f32[32][32]. Strides are those of TileOperand.
llvm::Function *emulatedTileProducts(Emit &e);

} // namespace gradc
