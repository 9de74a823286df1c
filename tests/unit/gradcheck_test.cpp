// Gradient checks generated from the op table: every op that says it is differentiable must have at least 25
// samples, and each must agree with central differences.
#include <iostream>

#include <gtest/gtest.h>

#include "tests/gradcheck/check.h"

namespace gradc::test {
namespace {

constexpr size_t kSamplesPerOp = 25, kSecondPerOp = 12, kSamplesInAll = 1000;

bool isDifferentiable(const OpDef &def) { return def.grad || (def.expand && def.notDifferentiable.empty()); }

std::vector<std::string> differentiableOps() {
  std::vector<std::string> names;
  for (const OpDef *def : allOps())
    if (isDifferentiable(*def))
      names.emplace_back(def->name);
  return names;
}

class GradCheck : public testing::TestWithParam<std::string> {};

TEST_P(GradCheck, AgreesWithDifferences) {
  std::vector<Sample> samples = gradientSamples(GetParam());
  EXPECT_GE(samples.size(), kSamplesPerOp) << "tests/gradcheck has too few samples of " << GetParam();
  for (size_t i = 0; i < samples.size(); ++i)
    if (auto wrong = checkGradient(GetParam(), samples[i], i % (samples.size() / kSecondPerOp) == 0))
      ADD_FAILURE() << *wrong;
}

INSTANTIATE_TEST_SUITE_P(OpTable, GradCheck, testing::ValuesIn(differentiableOps()),
                         [](const auto &info) { return info.param; });

TEST(GradCheckTable, EveryOpIsDifferentiableOrSaysWhyNot) {
  for (const OpDef *def : allOps())
    EXPECT_TRUE(isDifferentiable(*def) || !def->notDifferentiable.empty()) << def->name;
}

TEST(GradCheckTable, HasAThousandSamples) {
  size_t count = 0;
  for (const std::string &op : differentiableOps())
    count += gradientSamples(op).size();
  std::cout << count << " gradient samples of " << differentiableOps().size() << " ops" << std::endl;
  EXPECT_GE(count, kSamplesInAll);
}

} // namespace
} // namespace gradc::test
