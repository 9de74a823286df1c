// Register tiles: how large they may be and how a dimension is cut into them. The scheduler chooses, code
// generation cuts; none of it can change a result, only its speed.
#pragma once

#include <cstdint>
#include <vector>

namespace gradc {

/// The vector registers of a processor.
struct VectorUnit {
  int registers = 32;
  int bits = 512;
  /// Registers that a vector of 16 f32 takes.
  int perVector() const { return 512 / bits; }
};

/// A register tile of a contraction: `rows` × `vectors` accumulators of 16 lanes.
struct RegisterTile {
  int rows = 1;
  int vectors = 1;
};

/// True when the accumulators, one vector operand per column and one scalar operand stay in registers.
bool fitsRegisters(RegisterTile tile, const VectorUnit &unit);

/// The tile with the least estimated time for a result of rows × vectors. `vectorRows`: the row operand is 16 lanes
/// too, instead of one scalar.
RegisterTile chooseTile(int64_t rows, int64_t vectors, const VectorUnit &unit, bool vectorRows = false);

/// `count` neighbouring tiles of one size.
struct TileRun {
  int64_t start = 0;
  int64_t size = 0;
  int64_t count = 0;
  int64_t end() const { return start + size * count; }
};

/// Cuts `extent` into tiles of at most `maxSize` that differ by at most one: 64 by 14 gives 13,13,13,13,12.
std::vector<TileRun> balancedTiles(int64_t extent, int64_t maxSize);
int64_t countTiles(const std::vector<TileRun> &runs);

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace gradc
