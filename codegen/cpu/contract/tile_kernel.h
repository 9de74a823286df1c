// Register tiles as functions ("micro-kernels") and the loops over them, shared by matmul and the convolutions.
// Tiles of equal form share one function, which is never inlined: small functions keep register allocation good
// and compile times short.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "codegen/cpu/contract/register_tile.h"
#include "codegen/cpu/lane_index.h"
#include "support/tiling.h"

namespace gradc {

/// 16 finished elements of the contraction's result. `lanes` is null where a store is only announced.
struct TileVector {
  llvm::Value *lanes = nullptr;
  LaneIndex at;
};

/// What happens to the accumulators of a finished tile: the kernel's epilogue.
class TileStore {
public:
  virtual ~TileStore() = default;
  /// In the entry block of a function that will store; `buffers` is the kernel's table of pointers.
  virtual void begin(llvm::Value *buffers) = 0;
  /// Announces the store of vectors that are being computed.
  virtual void prefetch(std::span<const TileVector>) {}
  /// Fetches where a vector will be stored.
  virtual void prefetchResult(const LaneIndex &) {}
  /// The same, and what the store will read there.
  virtual void prefetchPlace(const LaneIndex &) {}
  virtual void store(std::span<const TileVector> tile) = 0;
  /// A store is so much work for each vector that it should be code for a few of them in a loop.
  virtual bool isLong() const { return false; }
};

/// The functions of one kernel's tiles.
class TileKernels {
public:
  TileKernels(Emit &e, TileStore &store, std::string symbol)
      : e(e), store(store), symbol_(std::move(symbol)) {}

  Emit &e;
  TileStore &store;

  /// The arguments of a tile function: the operands' addresses, the kernel's buffers, and numbers: coordinates of
  /// the tile in the result, run-time extents and further addresses.
  struct Args {
    llvm::Value *row, *column, *buffers;
    Values numbers;
    llvm::Value *partials = nullptr; // accumulators in memory, where the tile continues from there
  };
  using Body = std::function<void(const Args &)>;

  /// Calls the function of that name, which `body` emits when the name is new.
  void call(const std::string &name, const Args &args, const Body &body);

private:
  std::string symbol_;
  std::map<std::string, llvm::Function *> functions_;
};

/// Calls f(start, run) for the tile of number `tile`, with code for each run of equal tiles.
using OnTile = std::function<void(llvm::Value *start, const TileRun &run)>;
void emitTileSwitch(Emit &e, const std::vector<TileRun> &runs, llvm::Value *tile, const OnTile &f);
/// Calls f(start, run) for every tile, in loops.
void emitTileLoops(Emit &e, const std::vector<TileRun> &runs, const OnTile &f);

/// Code for a panel of `size` rows out of `extent`, and for the last one where that has fewer: f(rows).
void emitPanelSwitch(Emit &e, llvm::Value *panel, int64_t extent, int64_t size,
                     const std::function<void(int64_t rows)> &f);

/// Stores a finished tile of so many rows, at once or row by row. `places` gives those of some rows' elements.
using TilePlaces = std::function<std::vector<TileVector>(llvm::Value *first, int64_t rows)>;
void emitStoreTile(Emit &e, TileStore &store, const Values &sums, int64_t rows, const TilePlaces &places);

/// Some channels, rows and columns of a block of 16 images.
struct ImagePlace {
  llvm::Value *block, *channel, *row, *column; // the first
  int64_t channels, rows, columns;
};
/// In one of so many iterations: fetches its share of where these will be stored, and of what the store will read there.
void emitFetchPlace(Emit &e, TileStore &store, const ImagePlace &place, llvm::Value *iteration,
                    int64_t iterations);

/// Stores `rows` rows of finished f32 sums from row `first` on, which lie `pitch` bytes apart, 16 lanes for each index that
/// `indices` gives a row.
using RowIndices = std::function<std::vector<LaneIndex>(llvm::Value *row)>;
void emitStoreRows(Emit &e, TileStore &store, llvm::Value *sums, int64_t pitch, llvm::Value *first,
                   int64_t rows, const RowIndices &indices);
inline void emitStoreRows(Emit &e, TileStore &store, llvm::Value *sums, int64_t pitch, int64_t rows,
                          const RowIndices &indices) {
  emitStoreRows(e, store, sums, pitch, e.i64(0), rows, indices);
}

} // namespace gradc
