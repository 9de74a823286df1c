#include "codegen/cuda/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gradc {
namespace {

TEST(CudaTarget, IsFoundByItsName) {
  StatusOr<CudaTarget> target = parseCudaTarget("sm_80");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->architecture, 80);
  EXPECT_TRUE(target->hasAsyncCopies());
}

TEST(CudaTarget, AnUnknownNameListsTheKnown) {
  StatusOr<CudaTarget> target = parseCudaTarget("sm_81");
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().code, ExitCode::Usage);
  EXPECT_THAT(target.error().text,
              testing::HasSubstr("no CUDA architecture is known as 'sm_81', only sm_75, sm_80"));
}

TEST(CudaTarget, TableIsAscending) {
  for (size_t i = 1; i < cudaTargets().size(); ++i)
    EXPECT_LT(cudaTargets()[i - 1].architecture, cudaTargets()[i].architecture);
}

} // namespace
} // namespace gradc
