#include "passes/cuda_tensor_tiling_util.h"

#include <gtest/gtest.h>

namespace gradc {
namespace {

constexpr CudaMultipliers kHopper{132, 1250};

// Few tiles and a deep sum: large tiles, whose depth many blocks share.
TEST(CudaTensorTiling, DeepProductsAreSplit) {
  const CudaTensorPlan plan = planCudaTensorTiles({.shape = {1, 512, 512, 4608}}, kHopper);
  EXPECT_GT(plan.split, 1);
  EXPECT_GE(plan.tile.rows * plan.tile.columns, 64 * 64);
  const int64_t blocks = plan.split * (512 / plan.tile.rows) * (512 / plan.tile.columns);
  EXPECT_GE(blocks, 96);
  EXPECT_LT(plan.cycles, cudaTensorCycles(plan.tile, 1, {.shape = {1, 512, 512, 4608}}, kHopper));
}

TEST(CudaTensorTiling, WhatFillsTheDeviceIsNot) {
  EXPECT_EQ(planCudaTensorTiles({.shape = {1, 4096, 4096, 4096}}, kHopper).split, 1);
  EXPECT_EQ(planCudaTensorTiles({.shape = {256, 128, 128, 64}}, kHopper).split, 1);
}

TEST(CudaTensorTiling, NorIsAShortSum) {
  for (int64_t depth : {1, 16, 64, 112})
    EXPECT_EQ(planCudaTensorTiles({.shape = {1, 64, 64, depth}}, kHopper).split, 1) << depth;
}

// No segment is left without a slab: 35 slabs make nine segments of four, and none of twelve.
TEST(CudaTensorTiling, EverySegmentHasWork) {
  for (int64_t slabs : {9, 35, 36, 100, 289}) {
    const int64_t split = planCudaTensorTiles({.shape = {1, 128, 128, 16 * slabs}}, kHopper).split;
    const int64_t each = (slabs + split - 1) / split;
    EXPECT_GT(slabs, (split - 1) * each) << slabs << " slabs, " << split << " segments";
  }
}

// A result of which copies would not stay in the L2.
TEST(CudaTensorTiling, NorIsALargeResult) {
  const CudaTensorProduct product{.shape = {1, 2048, 4096, 1 << 16}};
  EXPECT_EQ(planCudaTensorTiles(product, {2000, 1250}).split, 1);
}

// What lies in fours is copied by fewer instructions.
TEST(CudaTensorTiling, CopiesCost) {
  const CudaTile tile{128, 128, 8, 8};
  const CudaProductShape shape{1, 2048, 2048, 512};
  const double slow = cudaTensorCycles(tile, 1, {.shape = shape}, kHopper),
               fast = cudaTensorCycles(tile, 1, {.shape = shape, .columnsByFour = true, .rowsByFour = true},
                                       kHopper);
  EXPECT_LT(fast, slow);
}

} // namespace
} // namespace gradc
