#include "support/tiling.h"

#include <algorithm>
#include <limits>

namespace gradc {

bool fitsRegisters(RegisterTile tile, const VectorUnit &unit, RowOperand rowOperand) {
  const int operands = rowOperand == RowOperand::Scalar ? tile.vectors : std::min(tile.rows, tile.vectors);
  const int other = rowOperand == RowOperand::Scalar ? 1 : unit.perVector();
  return (tile.rows * tile.vectors + operands) * unit.perVector() + other <= unit.registers;
}

namespace {

/// Cycles that a step of the reduction loses to the memory its vectors come from. Among equals the tile that loads
/// less wins; a vector is 16 times a scalar and often comes from L2.
double trafficCycles(double rows, double vectors, RowOperand rowOperand) {
  switch (rowOperand) {
  case RowOperand::Scalar: return 0.06 * rows + 0.12 * vectors;
  case RowOperand::Vector: return 0.12 * rows + 0.12 * vectors;
  case RowOperand::StreamedVector: return 0.5 * rows + 0.06 * vectors;
  }
  return 0;
}

/// Cycles of one step of the reduction: two multiply-adds and two loads a cycle, and a latency of four that
/// needs eight independent accumulators.
double stepCycles(int64_t rows, int64_t vectors, int perVector, RowOperand rowOperand) {
  const auto columnRegisters = static_cast<double>(vectors * perVector);
  const auto rowRegisters = static_cast<double>(rowOperand == RowOperand::Scalar ? rows : rows * perVector);
  const double multiplyAdds = 0.5 * static_cast<double>(rows * vectors * perVector);
  return std::max({multiplyAdds, 0.5 * (rowRegisters + columnRegisters), 4.0}) +
         trafficCycles(rowRegisters, columnRegisters, rowOperand);
}

/// What another form of tiles may cost in speed: compile time counts, too.
constexpr double kFormCost = 0.01;

} // namespace

RegisterTile chooseTile(int64_t rows, int64_t vectors, const VectorUnit &unit, RowOperand rowOperand,
                        int64_t maxRows) {
  constexpr int64_t kMaxVectors = 9;
  RegisterTile best;
  double bestCost = std::numeric_limits<double>::infinity();
  const int perVector = unit.perVector();
  for (int v = 1; v <= std::min<int64_t>(vectors, kMaxVectors); ++v) {
    for (int r = 1; r <= std::min(rows, maxRows) && fitsRegisters({r, v}, unit, rowOperand); ++r) {
      double cost = 0;
      int forms = 0; // of tiles: each is code of its own to compile
      for (const TileRun &row : balancedTiles(rows, r))
        for (const TileRun &column : balancedTiles(vectors, v)) {
          cost += static_cast<double>(row.count * column.count) *
                  stepCycles(row.size, column.size, perVector, rowOperand);
          ++forms;
        }
      cost *= 1 + kFormCost * forms;
      if (cost < bestCost) {
        bestCost = cost;
        best = {r, v};
      }
    }
  }
  return best;
}

std::vector<TileRun> balancedTiles(int64_t extent, int64_t maxSize) {
  const int64_t tiles = ceilDiv(extent, maxSize);
  const int64_t small = extent / tiles;
  const int64_t larger = extent - small * tiles; // so many tiles have one more
  std::vector<TileRun> runs;
  if (larger)
    runs.push_back({0, small + 1, larger});
  if (tiles - larger)
    runs.push_back({larger * (small + 1), small, tiles - larger});
  return runs;
}

int64_t countTiles(const std::vector<TileRun> &runs) {
  int64_t count = 0;
  for (const TileRun &run : runs)
    count += run.count;
  return count;
}

} // namespace gradc
