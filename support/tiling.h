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

/// Rows of a tile: one vector fits more of them than it gains by.
inline constexpr int64_t kMaxTileRows = 32;

/// What a step of the reduction loads for each row of a tile.
enum class RowOperand : uint8_t {
  Scalar,         // one element for all lanes
  Vector,         // 16 lanes, as for a column
  StreamedVector, // 16 lanes that come from beyond L1, while the columns' stay there
};

/// True when the accumulators and the operands stay in registers: one vector per column and one scalar, or, where
/// rows are vectors, too, one vector for each of the fewer and one for the others in turn.
bool fitsRegisters(RegisterTile tile, const VectorUnit &unit, RowOperand rowOperand = RowOperand::Scalar);

/// The tile with the least estimated time for a result of rows × vectors, of at most `maxRows` rows.
RegisterTile chooseTile(int64_t rows, int64_t vectors, const VectorUnit &unit,
                        RowOperand rowOperand = RowOperand::Scalar, int64_t maxRows = kMaxTileRows);

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
