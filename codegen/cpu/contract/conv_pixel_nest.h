// Convolutions and their gradients towards the input on row-major maps, for batches too small to fill the lanes: 16
// neighbouring pixels of a result plane in the lanes, register tiles of channels × vectors. Weights are scalars that
// are broadcast, so they are used as they lie.
//
// Where stride 1 keeps the width, rows follow each other alike in operand and result, and a vector runs over the end
// of a row into the next: narrow maps fill the lanes, too. A tap that would read padding does not exist: which lanes
// have it is a mask, from a table over taps and vectors.
#pragma once

#include "codegen/cpu/contract/conv_operands.h"
#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

struct ConvPixelNest : ConvOperands {
  int64_t examples = 1;
  RegisterTile tile;

  int64_t items() const;
  int64_t scratchBytes() const { return 0; }
};

/// Emits the loop over grid items in the kernel function at the insertion point.
void emitNest(TileKernels &tiles, const ConvPixelNest &nest, llvm::Value *weights, llvm::Value *input);

} // namespace gradc
