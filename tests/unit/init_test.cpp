#include "runtime/init.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "support/npy.h"
#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

using Kind = InitSpec::Kind;

std::vector<float> values(VariableSpec variable, uint64_t seed = 1, int threads = 1) {
  ThreadPool pool(threads);
  std::vector<float> out(elementCount(variable));
  const Status status = initialise(variable, seed, scratchFolder(), pool, out);
  EXPECT_TRUE(status.ok()) << status.text;
  return out;
}

VariableSpec spec(std::vector<int64_t> shape, InitSpec init, std::string name = "w") {
  return {.name = std::move(name), .shape = std::move(shape), .init = std::move(init)};
}

double meanOf(const std::vector<float> &v) { return std::accumulate(v.begin(), v.end(), 0.0) / v.size(); }
double deviationOf(const std::vector<float> &v) {
  double sum = 0;
  for (float x : v)
    sum += x * x;
  return std::sqrt(sum / v.size() - meanOf(v) * meanOf(v));
}
double largest(const std::vector<float> &v) {
  double m = 0;
  for (float x : v)
    m = std::max<double>(m, std::abs(x));
  return m;
}

TEST(Initialise, DependsOnSeedAndNameAloneAndNotOnThreads) {
  const VariableSpec w = spec({100, 50}, {.kind = Kind::HeNormal});
  EXPECT_EQ(values(w), values(w, 1, 4));
  EXPECT_NE(values(w), values(w, 2));
  EXPECT_NE(values(w), values(spec({100, 50}, {.kind = Kind::HeNormal}, "v")));
}

/// Whatever vectors the processor has, and with a rest: the bits of the C function that stand-alone programs carry.
TEST(Initialise, IsTheCFunction) {
  for (Kind kind : {Kind::Uniform, Kind::Normal}) {
    const VariableSpec w = spec({13, 157}, {.kind = kind, .a = -0.3, .b = 0.7});
    const gradc_init_rule rule = initRule(w).value();
    const std::vector<float> got = values(w, 7);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], gradc_init_value(&rule, 7, i)) << i;
  }
}

TEST(Initialise, ConstantsAndLists) {
  EXPECT_EQ(values(spec({2}, {.kind = Kind::Zeros})), (std::vector<float>{0, 0}));
  EXPECT_EQ(values(spec({2}, {.kind = Kind::Ones})), (std::vector<float>{1, 1}));
  EXPECT_EQ(values(spec({2}, {.kind = Kind::Constant, .a = 0.1})), (std::vector<float>{0.1f, 0.1f}));
  EXPECT_EQ(values(spec({2}, {.kind = Kind::Values, .values = {3, 4}})), (std::vector<float>{3, 4}));
  EXPECT_EQ(values(spec({}, {.kind = Kind::Constant, .a = 2})), std::vector<float>{2});
}

TEST(Initialise, BoundsAndDeviationsAreThoseOfTheLiterature) {
  // conv [64, 32, 3, 3]: fan in 288, fan out 576
  const std::vector<int64_t> shape = {64, 32, 3, 3};
  const auto of = [&](Kind kind, double a = 0, double b = 0) {
    return values(spec(shape, {.kind = kind, .a = a, .b = b}));
  };
  EXPECT_NEAR(largest(of(Kind::FanInUniform)), 1 / std::sqrt(288.0), 1e-4);
  EXPECT_NEAR(largest(of(Kind::HeUniform)), std::sqrt(6 / 288.0), 1e-4);
  EXPECT_NEAR(largest(of(Kind::GlorotUniform)), std::sqrt(6 / 864.0), 1e-4);
  EXPECT_NEAR(deviationOf(of(Kind::HeNormal)), std::sqrt(2 / 288.0), 1e-3);
  EXPECT_NEAR(deviationOf(of(Kind::GlorotNormal)), std::sqrt(2 / 864.0), 1e-3);
  EXPECT_NEAR(deviationOf(of(Kind::LecunNormal)), std::sqrt(1 / 288.0), 1e-3);
  EXPECT_NEAR(deviationOf(of(Kind::Normal, 0.5, 0.01)), 0.01, 1e-4);
  EXPECT_NEAR(meanOf(of(Kind::Normal, 0.5, 0.01)), 0.5, 1e-3);
  EXPECT_NEAR(meanOf(of(Kind::Uniform, 1, 3)), 2, 0.02);
  // A bias takes its weight's fan in.
  EXPECT_NEAR(largest(values(spec({1000}, {.kind = Kind::FanInUniform, .fanIn = 400}))), 0.05, 1e-3);
}

TEST(Initialise, SparseKeepsItsDensity) {
  const std::vector<float> v = values(spec({100, 100}, {.kind = Kind::SparseNormal, .a = 0.1, .b = 2}));
  EXPECT_NEAR(std::ranges::count_if(v, [](float x) { return x != 0; }), 1000, 100);
}

TEST(Initialise, OrthogonalIsOrthonormal) {
  for (const auto &[rows, columns] : {std::pair{10, 25}, std::pair{25, 10}, std::pair{7, 7}}) {
    const std::vector<float> v = values(spec({rows, columns}, {.kind = Kind::Orthogonal}));
    const int count = std::min(rows, columns), length = std::max(rows, columns);
    for (int i = 0; i < count; ++i)
      for (int j = 0; j < count; ++j) {
        double dot = 0;
        for (int k = 0; k < length; ++k)
          dot += rows <= columns ? v[i * columns + k] * v[j * columns + k]
                                 : v[k * columns + i] * v[k * columns + j];
        EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-5);
      }
  }
}

TEST(Initialise, FilesAndTheirErrors) {
  const float data[] = {1, 2, 3};
  ASSERT_TRUE(
      writeNpy(scratchFolder() + "w3.npy", {DType::F32, {3}, std::string((const char *)data, 12)}).ok());
  EXPECT_EQ(values(spec({3}, {.kind = Kind::Npy, .file = "w3.npy"})), (std::vector<float>{1, 2, 3}));
  ThreadPool pool(1);
  std::vector<float> out(4);
  Status status = initialise(spec({4}, {.kind = Kind::Npy, .file = "w3.npy"}), 0, scratchFolder(), pool, out);
  EXPECT_EQ(status.code, ExitCode::Io);
  EXPECT_TRUE(status.text.ends_with("w3.npy: shape [3], but 'w' has [4]")) << status.text;
  EXPECT_EQ(initialise(spec({4}, {.kind = Kind::Npy, .file = "no.npy"}), 0, "/nowhere", pool, out).text,
            "cannot open '/nowhere/no.npy': No such file or directory");
  ASSERT_TRUE(writeNpy(scratchFolder() + "b3.npy", {DType::U8, {4}, "abcd"}).ok());
  status = initialise(spec({4}, {.kind = Kind::Npy, .file = "b3.npy"}), 0, scratchFolder(), pool, out);
  EXPECT_TRUE(status.text.ends_with("b3.npy: element type u8, but 'w' has f32")) << status.text;
  EXPECT_EQ(initialise(spec({4}, {.kind = Kind::Values, .values = {1}}), 0, "", pool, out).text,
            "'w' has 4 elements, but its initialiser has 1 values");
}

} // namespace
