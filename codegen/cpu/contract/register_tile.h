// The heart of every contraction: a tile of accumulators that stays in vector registers while a nest of loops
// over the reduced dimensions feeds it with multiply-adds. One vector load per column and one operand load per
// row make rows × columns multiply-adds.
//
//   matmul, convolution:   row operand = a scalar, broadcast to the lanes; column operand = 16 lanes
//   weight gradients of convolutions: both operands are 16 lanes, of which the lanes are summed later
//
// Every accumulator is one chain of multiply-adds in the order of the nest, whatever the tile's shape.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "codegen/cpu/emit.h"

namespace gradc {

/// The reduced dimensions, as a tree of loops over two operand addresses. Steps and offsets are in bytes.
struct Reduction {
  enum class Kind : uint8_t {
    MultiplyAdd, // one step of the chain, at the current addresses
    Loop,        // `parts` again and again, the addresses moving on by rowStep and columnStep
  };
  static constexpr int kStatic = -1;

  /// Something executed at an offset from the enclosing loop's addresses.
  struct Part;

  Kind kind = Kind::MultiplyAdd;
  int64_t extent = 1;       // of a loop: iterations, ≥ 1 …
  int extentSlot = kStatic; // … or the number of the run-time argument that holds it
  bool mayBeEmpty = false;  // the run-time extent may be 0
  int64_t unroll = 0;       // of a loop of a static extent: iterations in a row, where not as a budget allows
  int64_t rowStep = 0, columnStep = 0;
  std::vector<Part> parts;

  static Reduction step() { return {}; }
  static Reduction loop(int64_t extent, int64_t rowStep, int64_t columnStep, Reduction body);
  /// One after the other, each part at its offset.
  static Reduction sequence(std::vector<Part> parts);
  static Reduction runtimeLoop(int slot, bool mayBeEmpty, int64_t rowStep, int64_t columnStep,
                               Reduction body);
  static Reduction runtimeLoop(int slot, bool mayBeEmpty, int64_t rowStep, int64_t columnStep,
                               std::vector<Part> parts);
};

struct Reduction::Part {
  int64_t rowOffset = 0, columnOffset = 0;
  uint32_t columns =
      ~0u; // bit j: the step exists for column j of the tile (a padded tap is absent, not zero)
  Reduction reduction;
};

/// Which elements the tile's operands are, relative to the tile's first row and column, in bytes.
struct RegisterTileShape {
  std::vector<int64_t> rowOffsets, columnOffsets;
  bool broadcastRows = true;    // the row operand is one element for all lanes
  int lastLanes = kVectorLanes; // lanes of the last column that exist in memory
  int64_t laneStep = 4;         // bytes from lane to lane of the column operand
  /// Lanes of each column that may be read; null, or none given: all. `absentTerms`: in the other lanes the steps do
  /// not exist; without it they hold anything.
  Values columnMasks;
  llvm::Value *rowMask = nullptr; // likewise of all rows, where these are vectors
  bool absentTerms = false;
  /// Not 0: how far ahead of its use the row operand is fetched, in bytes: to where the next tile reads it.
  int64_t rowPrefetch = 0;
  Cache rowPrefetchInto = Cache::L2;
  /// Neighbouring steps share vectors of the column operand, and there are no registers to keep them: each loads its own,
  /// by volatile loads, which LLVM does not merge into one that it would have to spill.
  bool reloadColumns = false;
  /// Called at the beginning of each iteration of the outermost loop, to emit what is spread over the tile's time;
  /// with one iteration where there is no loop.
  std::function<void(llvm::Value *iteration, int64_t iterations)> alongside = nullptr;

  int rows() const { return static_cast<int>(rowOffsets.size()); }
  int columns() const { return static_cast<int>(columnOffsets.size()); }
};

/// Emits the nest in the current function and returns the accumulators, rows() × columns(), row by row.
/// `extents` are the run-time extents that the nest refers to.
Values emitRegisterTile(Emit &e, const RegisterTileShape &shape, const Reduction &reduction, llvm::Value *row,
                        llvm::Value *column, const Values &extents, Values accumulators);

/// Accumulators that start at zero.
Values zeroAccumulators(Emit &e, const RegisterTileShape &shape);

/// The sum over the lanes of each accumulator (at most 16), as the lanes of one vector: lane i is the binary tree
/// over accumulator i with strides 8, 4, 2, 1. Lanes beyond the accumulators hold anything.
llvm::Value *emitLaneSums(Emit &e, Values accumulators);

} // namespace gradc
