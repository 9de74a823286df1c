// What products fetch, evenly over their time, because a core waits for a dozen lines at most: what is transformed next,
// row by row of its patches, or in the far nest the operand of the next point's products. Otherwise the transforms of 64
// channels would wait for it for a quarter of the time in all, and the first panel of each point for longer than all of
// them compute.
#pragma once

#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_weight_nest.h"

namespace gradc {

/// For an item of a convolution: the next one's images, and where this one will store its results, with what the epilogue
/// reads there.
class WinogradFetch {
public:
  WinogradFetch(Emit &e, TileStore &store, const WinogradNest &nest) : e(e), store_(store), nest_(nest) {}

  bool pays() const { return !nest_.far; }

  /// Where in the images the patches of the tiles from `first` on begin.
  llvm::Value *patches(llvm::Value *images, llvm::Value *first) const;

  /// A register tile of a point's products.
  struct Tile {
    llvm::Value *next; // the next item's patches
    llvm::Value *point, *panel;
    llvm::Value *channel, *place; // of the results: the first channel and tile
    llvm::Value *column;          // of the first tile within the item
    int64_t rows, columns;
  };
  /// The tile's share: numbers for its function.
  Values share(const Tile &tile) const;
  /// In one of its iterations.
  void emit(const Values &share, int64_t columns, llvm::Value *iteration, int64_t iterations) const;

private:
  int64_t imageRuns() const { return nest_.depth * nest_.algorithm.patch(); }
  int64_t runsOfTile() const;
  int64_t runLines(int64_t columns) const;

  Emit &e;
  TileStore &store_;
  const WinogradNest &nest_;
};

/// For a point of the far nest: V of the next one, whose panels then find it in L2.
class WinogradFarFetch {
public:
  WinogradFarFetch(Emit &e, const WinogradNest &nest) : e(e), nest_(nest) {}

  bool pays() const { return nest_.far; }

  /// Where the lines of a register tile begin. `next` is V of the next point, from the item's first column on; `slot` and
  /// `column` are the tile's panel and first column within the item.
  llvm::Value *share(llvm::Value *next, llvm::Value *slot, llvm::Value *column) const;
  /// In one of its iterations, each of which reads one channel of the operand.
  void emit(llvm::Value *share, llvm::Value *iteration) const;

private:
  /// A panel's tiles read as many lines in an iteration as they have columns; all panels share fetching them.
  int64_t lines() const { return ceilDiv(nest_.tile.vectors, nest_.panels); }

  Emit &e;
  const WinogradNest &nest_;
};

/// For a slab of a gradient towards the weights: the next one's images and gradient.
class WinogradWeightFetch {
public:
  WinogradWeightFetch(Emit &e, const WinogradWeightNest &nest) : e(e), nest_(nest) {}

  bool pays() const { return nest_.near; }

  struct Next {
    llvm::Value *image, *gradient; // the kernel's operands; the gradient's from the part's channels on
    llvm::Value *first;            // tile
  };
  /// That of the register tile of this number among the part's of a slab: numbers for its function.
  Values share(const Next &next, llvm::Value *number) const;
  /// In its iteration for a tile: of the next slab's tile in the same place.
  void emit(const Values &share, llvm::Value *tile) const;
  /// In the same iteration: a share of the places where the register tile stores so many sums at last.
  void emitSums(llvm::Value *sums, int64_t count, llvm::Value *tile) const;

private:
  int64_t registerTiles() const;
  int64_t runsOfTile(int64_t runs) const { return ceilDiv(runs, registerTiles()); }
  int64_t imageRuns() const { return nest_.depth() * nest_.image.algorithm.patch(); }
  int64_t gradientRuns() const { return ceilDiv(nest_.channels, nest_.parts) * nest_.gradient.kernel; }
  void fetchRuns(llvm::Value *start, int64_t runs, int64_t pitch) const;

  Emit &e;
  const WinogradWeightNest &nest_;
};

} // namespace gradc
