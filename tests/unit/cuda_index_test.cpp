// Index arithmetic of CUDA text: what is put together again becomes the counter, what can be told apart is not divided.
#include <gtest/gtest.h>

#include "codegen/cuda/index.h"

namespace gradc {
namespace {

struct CudaIndexText : testing::Test {
  CudaText text;
  CudaIndexMath math{text, false};
  CudaIndex counter(std::string_view name, int64_t bound) { return math.counter(text.name(name), bound); }
};

TEST_F(CudaIndexText, DigitsThatArePutTogetherAreTheCounter) {
  const Shape shape{64, 6, 28, 28};
  const CudaIndex i = counter("i", shape.elements());
  const CudaIndices at = math.dims(shape, i);
  EXPECT_EQ(math.linear(shape, at), i);
  EXPECT_EQ(math.linear({384, 784}, math.reshaped(shape, at, {384, 784})), i);
  EXPECT_EQ(text.text(), ""); // nothing was computed
}

TEST_F(CudaIndexText, DigitsAreNamedOnce) {
  const CudaIndices at = math.dims({4, 3, 28}, counter("i", 336));
  EXPECT_EQ(math.text(at[1]), "i1");
  text.line("use({});", math.text(math.add(math.mul(at[2], 4), at[1])));
  EXPECT_EQ(text.text(), "  const int i1 = unsigned(i) / 28 % 3;\n  const int i2 = unsigned(i) % 28;\n"
                         "  use(i2 * 4 + i1);\n");
}

TEST_F(CudaIndexText, SumsAreDividedPartByPart) {
  const CudaIndex row = counter("row", 10), column = counter("column", 16);
  const CudaIndex place = math.add(math.mul(row, 16), column);
  EXPECT_EQ(math.div(place, 16), row);
  EXPECT_EQ(math.mod(place, 16), column);
  text.line("use({});", math.text(math.div(place, 32))); // whatever the column
  EXPECT_EQ(text.text(), "  const int row1 = unsigned(row) / 2;\n  use(row1);\n");
}

TEST_F(CudaIndexText, ASumThatCannotBeToldApartGetsAName) {
  const CudaIndex a = counter("a", 10), b = counter("b", 10), sum = math.add(a, b);
  text.line("use({});", math.text(math.mod(sum, 7)));
  EXPECT_EQ(text.text(), "  const int at = a + b;\n  const int at1 = unsigned(at) % 7;\n  use(at1);\n");
}

TEST_F(CudaIndexText, DefinitionsThatNothingUsesAreNotWritten) {
  const std::string a = text.define("int", "a", "1"), b = text.define("int", "b", a);
  text.define("int", "c", b);
  text.line("use({});", a);
  EXPECT_EQ(text.text(), "  const int a = 1;\n  use(a);\n");
}

TEST_F(CudaIndexText, NamesAreTheModelsAndNoWordOfTheLanguage) {
  EXPECT_EQ(text.name("conv1.bias"), "conv1_bias");
  EXPECT_EQ(text.name("conv1.bias~2"), "conv1_bias1");
  EXPECT_EQ(text.name("loss~3_terms"), "loss_terms");
  EXPECT_EQ(text.name("float"), "float5"); // float1 to float4 are types
  EXPECT_EQ(text.name("float4"), "float4_1");
  EXPECT_EQ(text.name("fmaf"), "fmaf1");
  EXPECT_EQ(text.name("a/b"), "a_b");
  EXPECT_EQ(text.name("1st"), "v1st");
  EXPECT_EQ(text.name("__shared__"), "v__shared__");
}

TEST_F(CudaIndexText, ConditionsThatAlwaysHoldVanish) {
  const CudaIndex i = counter("i", 28);
  EXPECT_EQ(math.below(i, 28), "");
  EXPECT_EQ(math.below(i, 27), "i < 27");
  EXPECT_EQ(math.below(math.add(i, -2), 28), "i - 2 >= 0");
  EXPECT_EQ(math.below(math.add(i, -2), 20), "unsigned(i - 2) < 20");
  EXPECT_EQ(math.below(-1, 20), "false");
  EXPECT_EQ(math.equals(i, i), "");
  EXPECT_EQ(math.equals(i, 28), "false");
  EXPECT_EQ(math.equals(i, 3), "i == 3");
}

TEST_F(CudaIndexText, ALaneIsANumberInText) {
  const CudaIndex i = math.add(math.mul(counter("i", 100), 4), math.lanes(4));
  const CudaIndices at = math.dims({10, 40}, i);
  EXPECT_EQ(math.laneFactor(at[0]), 0);
  EXPECT_EQ(math.laneFactor(at[1]), 1);
  EXPECT_EQ(math.laneFactor(math.linear({40, 10}, {at[1], at[0]})), 10);
  math.lane = 3;
  EXPECT_EQ(math.text(i), "i * 4 + 3");
}

} // namespace
} // namespace gradc
