// Gradients of convolutions of stride 1 towards their weights by Winograd's F(r×r, m×m) (ir/winograd.h), operands in
// layout n16. The products of the points are matrix products whose depth is the images of all tiles:
//
//   V[points][tile][channel of the image][16 images]       scalars for the rows of register tiles, as they come
//   U[points][tile][16 images][channel of the gradient]    vectors: 16 channels of a tile's pixel are transposed first
//   M[points][channel of the image][channel of the gradient]
//
// The tiles are cut into segments, whose number decides bits, and these into slabs, from one to the next of which M goes
// on in memory. Where there are segments enough for several threads, an item is one of them, or a part of its channels of
// the gradient, or a pair that the segments' tree adds first: the worker makes V and U of a slab in its scratch memory and
// multiplies them while they are near. Else V and U of a slab lie in the kernel's workspace, and two steps for each slab
// make them and multiply them. In the whole nest the only slab is all tiles, and a panel's sums of all segments wait in the
// worker's scratch memory for their tree. Last, one step makes the gradients of the weights from M, through the kernel's
// epilogue; where tiles are few, each item of the whole nest's products does so for a block of M, in scratch memory.
#pragma once

#include "codegen/cpu/winograd/winograd_nest.h"

namespace gradc {

/// Strides and sizes in bytes.
struct WinogradWeightNest {
  WinogradNest image;   // how V is made; its columns are the tiles of a slab
  int64_t channels = 1; // of the gradient
  Winograd gradient;    // how U is made, and the result
  RegisterTile tile;    // rows: channels of the image; vectors: groups of 16 channels of the gradient
  int64_t segments = 1; // of the tiles, each with an M of its own
  int64_t slab = 1;     // tiles
  bool near = false;    // an item is a segment, or a part of its panels
  bool whole = false;   // the slab is all tiles, and M the sum of all segments
  int64_t parts = 1;    // of the panels of vectors, to make items of
  /// Of the whole nest, channels of the image in an item that makes their results, a multiple of 16; or 0.
  int64_t blockRows = 0;
  int64_t joined = 1; // segments of a near item, each of one slab, whose sum it makes: M reaches memory once

  int64_t points() const { return gradient.points(); }
  int64_t sums() const { return whole ? 1 : segments / joined; }            // how many M
  bool oneSlab() const { return slab >= ceilDiv(image.tiles(), segments); } // in each segment
  int64_t depth() const { return image.depth; }
  int64_t groups() const { return ceilDiv(channels, kVectorLanes); }
  std::vector<TileRun> rowRuns() const { return balancedTiles(depth(), tile.rows); }
  std::vector<TileRun> panelRuns() const { return balancedTiles(groups(), tile.vectors); }
  int64_t partPanels() const { return ceilDiv(countTiles(panelRuns()), parts); }
  /// Of the gradient.
  int64_t row() const { return image.outWidth * kVectorLanes * 4; }
  int64_t channel() const { return image.outHeight * row(); }
  int64_t firstTile(int64_t segment) const { return segment * image.tiles() / segments; }

  // One of the planes, of which each point has one, of V; of U, as [panel][tile][16 images][vectors][16]; and of M, as
  // [panel][channel of the image][vectors][16], with blockRows of an item.
  int64_t imagePlane() const { return image.operandPlane(); }
  int64_t gradientPlane() const;
  int64_t productPlane() const;
  /// The pixels of a tile, transposed.
  int64_t gradientScratch() const { return gradient.taps() * kVectorLanes * kVectorLanes * 4; }
};

/// The nest of an op that winogradObjection has nothing against.
WinogradWeightNest planWinogradWeight(const Function &fn, OpId op, RegisterTile tile, int64_t l2Bytes);

/// Emits all steps. `image` and `gradient` are numbers of the kernel's buffers.
KernelCode emitWinogradWeight(KernelContext &k, TileStore &store, const WinogradWeightNest &nest, int image,
                              int gradient);

/// Where in the gradient a tile begins, in bytes: of the first channel.
llvm::Value *gradientCorner(Emit &e, const WinogradWeightNest &nest, const WinogradPlace &place);

/// U of some tiles of a slab, from `slabStart` on, and of some panels.
struct WinogradGradient {
  llvm::Value *gradient, *target, *scratch; // gradientScratch()
  llvm::Value *firstTile, *endTile, *slabStart;
  llvm::Value *firstPanel, *endPanel;
};
void emitWinogradGradient(TileKernels &tiles, const WinogradWeightNest &nest, const WinogradGradient &what);

/// The gradients of up to 16 channels of the image (`block` counts 16s) and of a group of the gradient's, from their first
/// sum in M, whose panel has so many vectors.
struct WinogradWeightResults {
  llvm::Value *products, *scratch; // winogradResultsScratch()
  int64_t vectors;
  llvm::Value *group, *block;
};
void emitWinogradWeightResults(TileKernels &tiles, const WinogradWeightNest &nest,
                               const WinogradWeightResults &what);
int64_t winogradResultsScratch(const WinogradWeightNest &nest);

/// The last step: an item is such a part of the gradients.
KernelStep emitWinogradWeightResults(KernelContext &k, TileKernels &tiles, const WinogradWeightNest &nest);

} // namespace gradc
