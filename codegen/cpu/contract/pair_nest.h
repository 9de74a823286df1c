// Both gradients of a dense layer whose weights lie in n16, in one walk through them:
//
//   dX[n, i] = sum over u of dY[n, u] W[u, i]      lanes = n; rows = i (W, scalars), columns = blocks of 16 of n
//   dW[u, i] = sum over n of dY[n, u] X[n, i]      lanes = u; rows = i (X, scalars), one column: a block of 16 of u
//
//   for each item, a strip of the inputs of a segment of the units:
//     for each block of 16 units:
//       transpose dY's block
//       for each tile of the strip's inputs:
//         add the block's terms to the tile's sums of dX, which wait in scratch memory
//         dW of the block's weights, finished, and what the epilogue makes of it: the new weights
//     store the strip's sums of dX
//
// A block's weights of a strip are one piece of memory, in the order in which they are read, and so are their momenta.
// Orders are those of the two products by themselves (ir/order.h).
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

struct PairNest {
  int64_t inputs = 1, units = 1, examples = 1;
  /// Of the units; with more than one, dX has a leading dimension of them where it is stored.
  int64_t segments = 1;
  RegisterTile tile;
  int64_t stripInputs = 1; // of an item, a multiple of the tile's rows

  int64_t blocks() const { return ceilDiv(examples, kVectorLanes); } // of examples
  int64_t strips() const { return ceilDiv(inputs, stripInputs); }
  int64_t items() const { return segments * strips(); }
  int64_t scratchBytes() const { return sumBytes() + panelBytes(); }
  int64_t sumBytes() const;   // of a strip
  int64_t panelBytes() const; // of a block of dY, transposed
};

/// Chooses the strips for the sizes and the tile: sums that stay in L2, and items for several threads.
void cutStrips(PairNest &nest);

struct PairOperands {
  llvm::Value *gradient, *weights, *input; // dY, W, X
};

/// Emits the loop over grid items in the kernel function at the insertion point. `toInput` stores dX; the other store is
/// that of `tiles`.
void emitNest(TileKernels &tiles, TileStore &toInput, const PairNest &nest, const PairOperands &operands);

} // namespace gradc
