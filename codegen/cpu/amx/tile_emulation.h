// Products of tiles (tile_product.h) by vector code, to the bit.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// `void product(sums, a, aPitch, aTileStride, b, bPitch, bTileStride, rowTiles, columnTiles)`, made once for each module:
/// adds the products of up to 2 × 2 tiles in memory to f32[32][32]. Pitches and strides are those of TileOperand.
llvm::Function *emulatedTileProducts(Emit &e);

} // namespace gradc
