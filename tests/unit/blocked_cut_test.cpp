// How large products are cut into blocks. What they compute is tested in contract_kernel_test.cpp.
#include <gtest/gtest.h>

#include "codegen/cpu/contract/blocked_nest.h"

namespace gradc {
namespace {

constexpr int64_t kL1 = 48 << 10, kL2 = 2 << 20;

BlockedNest cut(int64_t rows, int64_t columns, int64_t depth, bool turned = false, int64_t l2Bytes = kL2) {
  BlockedNest nest;
  nest.rows = rows;
  nest.columns = ceilDiv(columns, kVectorLanes);
  nest.depth = depth;
  nest.row = turned ? BlockedNest::Operand{BlockedNest::Storage::IndexInner, 4 * rows}
                    : BlockedNest::Operand{BlockedNest::Storage::DepthInner, 4 * depth};
  nest.column = {BlockedNest::Storage::IndexInner, 4 * columns};
  nest.tile = {6, 4};
  chooseBlocks(nest, kL1, l2Bytes);
  return nest;
}

TEST(BlockedCut, IsForProductsBeyondTheCaches) {
  EXPECT_FALSE(wantsBlocks(64, 512, 512));
  EXPECT_FALSE(wantsBlocks(8, 4096, 9216));  // few rows
  EXPECT_FALSE(wantsBlocks(9216, 8, 4096));  // few columns
  EXPECT_FALSE(wantsBlocks(9216, 4096, 16)); // nothing is used again
  EXPECT_TRUE(wantsBlocks(16, 4096, 9216));
  EXPECT_TRUE(wantsBlocks(8192, 256, 256));
  EXPECT_TRUE(wantsBlocks(256, 256, 8192));
  EXPECT_TRUE(wantsBlocks(1024, 1024, 128)); // rows a page apart
  EXPECT_FALSE(wantsBlocks(1024, 1040, 128));
}

TEST(BlockedCut, IsForLayersBeyondTheCaches) {
  EXPECT_FALSE(wantsBlocks(512, 64, 784, false, kL2));
  EXPECT_FALSE(wantsBlocks(9216, 16, 4096, false, kL2)); // strips do: each weight is used once
  EXPECT_TRUE(wantsBlocks(9216, 64, 4096, false, kL2));
  EXPECT_FALSE(wantsBlocks(4096, 16, 9216, true, kL2)); // strips do
  EXPECT_TRUE(wantsBlocks(1024, 1024, 1024, true, kL2));
}

TEST(BlockedCut, IsForNarrowPanelsWhoseLinesCompete) {
  auto wants = [](int64_t units, int64_t inputs, int64_t examples, RegisterTile tile) {
    return wantsPanels(units, inputs, examples, tile, kL1);
  };
  EXPECT_TRUE(wants(512, 512, 64, {6, 1}));
  EXPECT_TRUE(wants(512, 1536, 64, {6, 1}));
  EXPECT_TRUE(wants(64, 2048, 32, {6, 1}));
  EXPECT_FALSE(wants(512, 512, 64, {6, 4})); // neighbouring lines come together
  EXPECT_FALSE(wants(512, 784, 64, {6, 1}));
  EXPECT_FALSE(wants(512, 512, 32, {6, 1})); // about as many lines as places
  EXPECT_FALSE(wants(512, 256, 256, {6, 1}));
  EXPECT_FALSE(wants(64, 8192, 32, {6, 1})); // too few tiles use the copies
}

TEST(BlockedCut, ReadsTheLargerOperandOnce) {
  const BlockedNest wide = cut(256, 1024, 8192, true), tall = cut(1024, 256, 8192, true);
  EXPECT_EQ(wide.rowTiles, ceilDiv(wide.rows, wide.tile.rows));
  EXPECT_EQ(wide.panels, 4);
  EXPECT_FALSE(wide.wholeDepth);
  EXPECT_EQ(tall.panels, ceilDiv(tall.columns, tall.tile.vectors));
  EXPECT_EQ(wide.items(), 4);
  EXPECT_EQ(tall.items(), 4);
  for (int64_t rows : {16, 32, 100}) { // too few to be cut for the sake of the number of items
    const BlockedNest few = cut(rows, 4096, 9216, true);
    EXPECT_EQ(few.rowTiles, ceilDiv(few.rows, few.tile.rows)) << rows;
  }
}

TEST(BlockedCut, KeepsAPanelInTheFirstCacheAndABlockInTheSecond) {
  for (int64_t rows : {128, 300, 8192})
    for (int64_t columns : {64, 70, 1024, 4000})
      for (int64_t depth : {64, 129, 1024, 8192})
        for (bool turned : {false, true}) {
          const BlockedNest nest = cut(rows, columns, depth, turned);
          SCOPED_TRACE(testing::Message() << rows << " x " << columns << " x " << depth << " " << turned);
          EXPECT_LE(nest.panelBytes(), nest.wholeDepth ? kL2 / 2 : kL1 * 2 / 3 + 16 * 256);
          EXPECT_LE(nest.scratchBytes(), kL2);
          EXPECT_TRUE(nest.depthBlocks() == 1 || nest.depthBlock % BlockedNest::kDepthUnit == 0);
          EXPECT_GE(nest.items() * nest.rowTiles * nest.tile.rows * nest.panels * nest.tile.vectors,
                    nest.rows * nest.columns);
        }
}

TEST(BlockedCut, TakesTheWholeDepthWherePanelsStay) {
  const BlockedNest tokens = cut(8192, 1024, 256), deep = cut(8192, 256, 8192);
  EXPECT_TRUE(tokens.wholeDepth);
  EXPECT_EQ(tokens.depthBlocks(), 1);
  EXPECT_EQ(tokens.panels, 16);
  EXPECT_FALSE(deep.wholeDepth);
  EXPECT_FALSE(cut(8192, 1024, 256, true).wholeDepth); // rows that are neighbours are copied many at a time
}

TEST(BlockedCut, CopiesNeighboursForSeveralPanels) {
  for (int64_t columns : {256, 1024}) { // an item's panels: 2 and 4 beside 256 rows, 1 beside 64
    const BlockedNest nest = cut(256, columns, 8192, true);
    EXPECT_EQ(nest.panels, columns == 256 ? 2 : 4);
    EXPECT_EQ(nest.packsRows(), columns == 1024);
  }
  for (int64_t l2Bytes :
       {kL2 / 2, kL2}) { // lines a page apart, for which the second cache has few places or enough
    const BlockedNest apart = cut(1024, 128, 1024, true, l2Bytes);
    EXPECT_EQ(apart.panels, 2);
    EXPECT_EQ(apart.packsRows(), l2Bytes < kL2);
  }
  EXPECT_FALSE(cut(1040, 128, 1024, true, kL2 / 2).packsRows());
  for (int64_t rows : {2048, 4096}) // so many pages apart there are fewer places
    EXPECT_TRUE(cut(rows, 128, 1024, true).packsRows());
  const BlockedNest narrow = cut(64, 256, 8192, true);
  EXPECT_EQ(narrow.panels, 1);
  EXPECT_EQ(narrow.readRows().pitch, narrow.row.pitch);
  EXPECT_EQ(narrow.scratch().rows, narrow.scratch().sums); // nothing between panels and sums
}

TEST(BlockedCut, CopiesRowsThatCompete) {
  BlockedNest nest = cut(1024, 1024, 1024);
  EXPECT_FALSE(nest.packsRows()); // six rows fit into a set
  nest.tile = {14, 2};
  EXPECT_TRUE(nest.packsRows());
  EXPECT_NE(nest.readRows().pitch % 4096, 0);
  EXPECT_TRUE(cut(1024, 1024, 1000, true).packsRows());
}

} // namespace
} // namespace gradc
