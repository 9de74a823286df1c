// What the tiles of a convolution of one tap fetch for those behind them. It multiplies so little for each pixel that
// copying the operand's rows and storing the result would take as long as a third of it. So each tile fetches its share of the
// rows that the next items copy, and where it stores itself, evenly over its time, because a core waits for a dozen lines
// at most.
#pragma once

#include "codegen/cpu/contract/conv_nest.h"

namespace gradc {

class ConvFetch {
public:
  ConvFetch(Emit &e, TileStore &store, const ConvNest &nest) : e(e), store_(store), nest_(nest) {}

  bool pays() const;

  /// A tile's part of the rows that are copied next, which follow each other in each channel.
  struct Share {
    llvm::Value *rows;  // the first one
    llvm::Value *first; // number of the tile's first line
    int64_t lines, rowLines;
  };
  void operand(const Share &share, llvm::Value *iteration, int64_t iterations) const;

  /// What a tile stores, and beside it those that no tap reaches.
  void result(const ImagePlace &place, llvm::Value *iteration, int64_t iterations) const {
    emitFetchPlace(e, store_, place, iteration, iterations);
  }

private:
  Emit &e;
  TileStore &store_;
  const ConvNest &nest_;
};

} // namespace gradc
