#include "support/tiling.h"

#include <gtest/gtest.h>

namespace gradc {
namespace {

TEST(Tiling, BalancedTilesCoverTheExtentOnce) {
  for (int64_t extent : {1, 2, 13, 14, 64, 100, 513})
    for (int64_t most : {1, 2, 5, 14, 1000}) {
      const std::vector<TileRun> runs = balancedTiles(extent, most);
      int64_t at = 0;
      for (const TileRun &run : runs) {
        EXPECT_EQ(run.start, at);
        EXPECT_LE(run.size, most);
        EXPECT_GE(run.count, 1);
        at = run.end();
      }
      EXPECT_EQ(at, extent);
      EXPECT_LE(runs.size(), 2u);
      EXPECT_EQ(countTiles(runs), ceilDiv(extent, most));
      EXPECT_LE(runs.front().size - runs.back().size, 1);
    }
}

TEST(Tiling, SixtyFourByFourteen) {
  const std::vector<TileRun> runs = balancedTiles(64, 14); // 13,13,13,13,12
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].size, 13);
  EXPECT_EQ(runs[0].count, 4);
  EXPECT_EQ(runs[1].size, 12);
  EXPECT_EQ(runs[1].count, 1);
}

TEST(Tiling, ChosenTilesStayInRegisters) {
  for (VectorUnit unit : {VectorUnit{32, 512}, VectorUnit{16, 256}, VectorUnit{16, 128}, VectorUnit{32, 128}})
    for (int64_t rows : {1, 2, 6, 10, 64, 513})
      for (int64_t vectors : {1, 3, 4, 28, 49})
        for (RowOperand row : {RowOperand::Scalar, RowOperand::Vector, RowOperand::StreamedVector}) {
          const RegisterTile tile = chooseTile(rows, vectors, unit, row);
          EXPECT_TRUE(fitsRegisters(tile, unit, row));
          EXPECT_LE(tile.rows, rows);
          EXPECT_LE(tile.vectors, vectors);
        }
}

TEST(Tiling, TheLargestCleanTilesFit) {
  // design: no spills if rows · vectors + vectors + 1 registers are there
  EXPECT_TRUE(fitsRegisters({6, 4}, {32, 512}));
  EXPECT_TRUE(fitsRegisters({14, 2}, {32, 512}));
  EXPECT_TRUE(fitsRegisters({9, 3}, {32, 512}));
  EXPECT_FALSE(fitsRegisters({7, 4}, {32, 512}));
  EXPECT_TRUE(fitsRegisters({6, 1}, {16, 256}));
  EXPECT_FALSE(fitsRegisters({7, 1}, {16, 256}));
  // Both operands are vectors: the fewer stay, the others come one by one.
  EXPECT_TRUE(fitsRegisters({3, 9}, {32, 512}, RowOperand::Vector));
  EXPECT_TRUE(fitsRegisters({9, 3}, {32, 512}, RowOperand::Vector));
  EXPECT_FALSE(fitsRegisters({3, 9}, {32, 512}));
}

TEST(Tiling, StreamedRowsAreFew) {
  const RegisterTile tile =
      chooseTile(64, 9, {32, 512}, RowOperand::StreamedVector); // all taps of a 3×3 kernel
  EXPECT_EQ(tile.rows, 3);
  EXPECT_EQ(tile.vectors, 9);
}

} // namespace
} // namespace gradc
