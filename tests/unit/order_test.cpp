#include <gtest/gtest.h>

#include "ir/op.h"
#include "ir/order.h"

namespace gradc {
namespace {

Type f32(Shape shape) { return {DType::F32, shape, {}}; }

Dict ints(std::string_view name, std::vector<int64_t> values) { return {{name, values}}; }

ReductionOrder reduceOrder(Shape shape, std::vector<int64_t> axes) {
  std::vector<Type> operands{f32(shape)};
  return reductionOrder(opDef("reduce_sum"), operands, ints("axes", std::move(axes)));
}

TEST(Order, ReductionOverTheBatchUsesTheBatchAsLanes) {
  EXPECT_EQ(reduceOrder({64, 20, 24, 24}, {0, 2, 3}), (ReductionOrder{16, 0, 1, {0, 2, 3}}));
  EXPECT_EQ(reduceOrder({60, 20, 24, 24}, {0, 2, 3}), (ReductionOrder{16, 0, 1, {0, 2, 3}}));
  EXPECT_EQ(reduceOrder({64}, {0}), (ReductionOrder{16, 0, 1, {0}}));
}

TEST(Order, OtherwiseTheLastReducedAxisIfItFillsTheLanes) {
  EXPECT_EQ(reduceOrder({48, 1000}, {1}), (ReductionOrder{16, 1, 1, {1}}));
  EXPECT_EQ(reduceOrder({8, 20, 24, 24}, {0, 2, 3}), (ReductionOrder{16, 3, 1, {0, 2, 3}})); // few examples
  EXPECT_EQ(reduceOrder({60}, {0}), (ReductionOrder{16, 0, 1, {0}}));
  EXPECT_EQ(reduceOrder({64, 100}, {0, 1}), (ReductionOrder{16, 1, 1, {0, 1}})); // all, as they lie
  EXPECT_EQ(reduceOrder({64, 3, 40}, {0, 1, 2}), (ReductionOrder{16, 2, 1, {0, 1, 2}}));
  EXPECT_EQ(reduceOrder({64, 3, 4}, {0, 1, 2}), (ReductionOrder{16, 0, 1, {0, 1, 2}}));
}

TEST(Order, ShortReductionsAreOneChain) {
  EXPECT_EQ(reduceOrder({64, 10}, {1}), (ReductionOrder{1, -1, 1, {1}}));
  EXPECT_EQ(reduceOrder({7, 15}, {0, 1}), (ReductionOrder{1, -1, 1, {0, 1}}));
}

TEST(Order, SumsOfColumnsHaveSegments) {
  EXPECT_EQ(reduceOrder({64, 128, 256}, {0, 1}), (ReductionOrder{1, -1, 4, {0, 1}}));
  EXPECT_EQ(reduceOrder({6, 3, 16}, {0, 1}), (ReductionOrder{1, -1, 2, {0, 1}}));
  EXPECT_EQ(reduceOrder({5, 2, 3, 16}, {0, 1, 2}), (ReductionOrder{1, -1, 1, {0, 1, 2}}));
  EXPECT_EQ(reduceOrder({64, 16, 8}, {0, 1}), (ReductionOrder{16, 0, 1, {0, 1}})); // too narrow for the lanes
}

TEST(Order, IgnoresLayoutAndOrderOfAxes) {
  std::vector<Type> operands{f32({64, 20, 4})};
  ReductionOrder rowMajor = reductionOrder(opDef("reduce_max"), operands, ints("axes", {0, 2}));
  operands[0].layout = "n16";
  EXPECT_EQ(reductionOrder(opDef("reduce_max"), operands, ints("axes", {0, 2})), rowMajor);
}

TEST(Order, ContractionsAreOneChain) {
  std::vector<Type> operands{f32({64, 784}), f32({784, 128})};
  EXPECT_EQ(reductionOrder(opDef("matmul"), operands, {}), ReductionOrder{});
  const Dict transposed{{"transpose_b", true}};
  operands = {f32({9, 784}), f32({512, 784})};
  EXPECT_EQ(reductionOrder(opDef("matmul"), operands, transposed), ReductionOrder{});
  operands = {f32({64, 1, 28, 28}), f32({20, 1, 5, 5})};
  EXPECT_EQ(reductionOrder(opDef("conv2d"), operands, {}), ReductionOrder{});
}

TEST(Order, FewRowsByATransposedMatrixAreDotProducts) {
  const Dict transposed{{"transpose_b", true}};
  std::vector<Type> operands{f32({8, 784}), f32({512, 784})};
  EXPECT_EQ(reductionOrder(opDef("matmul"), operands, transposed), (ReductionOrder{16, 1, 1, {}}));
  operands = {f32({1, 31}), f32({512, 31})};
  EXPECT_EQ(reductionOrder(opDef("matmul"), operands, transposed), ReductionOrder{});
}

TEST(Order, BatchesByLargeMatricesAreSplitOverTheDepth) {
  auto order = [](Shape a, Shape b) {
    std::vector<Type> operands{f32(a), f32(b)};
    return reductionOrder(opDef("matmul"), operands, {});
  };
  const ReductionOrder segments{1, -1, 4, {}}, chain;
  EXPECT_EQ(order({64, 512}, {512, 512}), segments);
  EXPECT_EQ(order({16, 4096}, {4096, 9216}), segments);
  EXPECT_EQ(order({9, 1024}, {1024, 256}), segments);
  EXPECT_EQ(order({8, 4096}, {4096, 9216}), chain);  // rows that fill no half of a vector
  EXPECT_EQ(order({65, 4096}, {4096, 4096}), chain); // many sums for each weight
  EXPECT_EQ(order({64, 256}, {256, 8192}), chain);   // the segments' sums would be as large as the matrix
  EXPECT_EQ(order({64, 512}, {512, 511}), chain);    // the matrix stays near
  EXPECT_EQ(order({64, 1000}, {1000, 512}), chain);  // four segments would not be whole vectors long
  EXPECT_EQ(order({4, 16, 512}, {512, 512}), chain); // tokens
  const Dict transposed{{"transpose_b", true}};
  std::vector<Type> operands{f32({64, 512}), f32({512, 512})};
  EXPECT_EQ(reductionOrder(opDef("matmul"), operands, transposed), chain);
}

ReductionOrder weightGradient(int64_t batch, int64_t filters, int64_t channels) {
  std::vector<Type> operands{f32({batch, channels, 12, 12}), f32({batch, filters, 8, 8})};
  return reductionOrder(opDef("conv2d_grad_weight"), operands, ints("kernel", {5, 5}));
}

TEST(Order, SmallWeightGradientsAreSplitOverTheBatch) {
  EXPECT_EQ(weightGradient(64, 20, 1), (ReductionOrder{16, 0, 4, {}}));  // 500 elements, 4 blocks
  EXPECT_EQ(weightGradient(32, 20, 1), (ReductionOrder{16, 0, 2, {}}));  // 2 blocks
  EXPECT_EQ(weightGradient(48, 20, 1), (ReductionOrder{16, 0, 1, {}}));  // 3 blocks have no half
  EXPECT_EQ(weightGradient(64, 50, 20), (ReductionOrder{16, 0, 1, {}})); // 25,000 elements are work enough
  EXPECT_EQ(weightGradient(60, 20, 1), (ReductionOrder{16, 0, 4, {}}));  // 4 blocks, the last not full
}

TEST(Order, PrintsWhatIsNotOne) {
  EXPECT_EQ(toString(toDict({16, 0, 4, {}})), "{lanes = 16, split = 4}");
  EXPECT_EQ(toString(toDict({16, 1, 1, {1}})), "{lanes = 16}");
  EXPECT_TRUE(toDict({}).empty());
}

} // namespace
} // namespace gradc
