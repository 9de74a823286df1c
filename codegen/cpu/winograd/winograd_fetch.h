// What the products of an item fetch, evenly over their time, because a core waits for a dozen lines at most: of the images
// what the next item transforms, row by row of its patches, and where this one will store its results, with what the
// epilogue reads there. Otherwise an item of 64 channels would wait for memory for a quarter of its time.
#pragma once

#include "codegen/cpu/winograd/winograd_nest.h"

namespace gradc {

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

} // namespace gradc
