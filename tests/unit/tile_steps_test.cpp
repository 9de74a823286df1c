// Where steps of a slab align, a step's place is that of the slab's first step and that of its number, loop by loop.
#include <gtest/gtest.h>

#include "codegen/cuda/tile_steps.h"
#include "support/cuda_tiling.h"

namespace gradc {
namespace {

using Loops = std::vector<int64_t>;

TEST(CudaTileSteps, AlignWhereSlabsEndWithLoops) {
  for (const Loops &loops :
       {Loops{48}, Loops{3, 3, 32}, Loops{1, 1, 16}, Loops{2, 4, 4}, Loops{5, 8, 8}, Loops{2, 3, 16}})
    EXPECT_TRUE(cudaStepsAlign(loops)) << loops[0];
  for (const Loops &loops : {Loops{47}, Loops{3, 3, 20}, Loops{2, 13, 13}, Loops{3, 6, 8, 3}, Loops{8, 2, 4}})
    EXPECT_FALSE(cudaStepsAlign(loops)) << loops[0];
}

/// Of each step of the depth, without a carry.
TEST(CudaTileSteps, PlacesAddUp) {
  auto placeOf = [](int64_t step, const Loops &loops) {
    Loops place(loops.size());
    for (size_t i = loops.size(); i-- > 0; step /= loops[i])
      place[i] = step % loops[i];
    return place;
  };
  for (const Loops &loops : {Loops{3, 3, 32}, Loops{2, 4, 4}, Loops{5, 8, 8}})
    for (int64_t slab = 0; slab < loops[0] * loops[1] * loops[2]; slab += kCudaTileDepth)
      for (int64_t step = 0; step < kCudaTileDepth; ++step) {
        Loops sum = placeOf(slab, loops);
        const Loops inSlab = placeOf(step, loops);
        for (size_t i = 0; i < sum.size(); ++i)
          sum[i] += inSlab[i];
        EXPECT_EQ(sum, placeOf(slab + step, loops));
      }
}

TEST(CudaTileSteps, PlaceInSlabIsText) {
  EXPECT_EQ(cudaPlaceInSlab("t", Loops{3, 3, 32}), (std::vector<std::string>{"0", "0", "t"}));
  EXPECT_EQ(cudaPlaceInSlab("t", Loops{2, 4, 4}),
            (std::vector<std::string>{"0", "int(unsigned(t) / 4)", "int(unsigned(t) % 4)"}));
}

} // namespace
} // namespace gradc
