#include "lab.h"
#include <algorithm>
#include <numeric>

namespace cudasim::test {
namespace {

double sumOf(const std::vector<float> &values) { return std::accumulate(values.begin(), values.end(), 0.0); }

TEST_P(Corpus, Softmax) {
  int rows = 33, columns = 1000;
  auto x = random(rows * columns), y = empty(rows * columns);
  launch("reductions", "softmax_row", {{33, 1, 1}, {256, 1, 1}}, x, y, columns);
  std::vector<double> sums(rows), most(rows, -1e9);
  for (int i = 0; i < rows * columns; ++i)
    most[i / columns] = std::max(most[i / columns], static_cast<double>(x.host[i]));
  for (int i = 0; i < rows * columns; ++i)
    sums[i / columns] += std::exp(x.host[i] - most[i / columns]);
  expectNear(
      y.read(), [&](int i) { return std::exp(x.host[i] - most[i / columns]) / sums[i / columns]; }, 1e-6);
}

TEST_P(Corpus, SumThroughSharedMemory) {
  int n = 100000;
  auto x = random(n), y = empty(32);
  launch("reductions", "reduce_shared", {{32, 1, 1}, {256, 1, 1}}, x, y, n);
  EXPECT_NEAR(sumOf(y.read()), sumOf(x.host), 1e-2);
}

TEST_P(Corpus, SumThroughDynamicSharedMemoryAndAtomics) {
  int n = 50000;
  auto x = random(n), y = empty(1);
  y.zero();
  launch("reductions", "reduce_dyn", {{16, 1, 1}, {128, 1, 1}, 512}, x, y, n);
  EXPECT_NEAR(y.read()[0], sumOf(x.host), 1e-2);
}

TEST_P(Corpus, SumOfColumns) {
  int rows = 100, columns = 75;
  auto x = random(rows * columns), y = empty(columns);
  launch("reductions", "reduce_cols", {{3, 1, 1}, {32, 8, 1}}, x, y, rows, columns);
  expectNear(y.read(), [&](int j) {
    double sum = 0;
    for (int i = 0; i < rows; ++i)
      sum += x.host[i * columns + j];
    return sum;
  });
}

// The last block to finish reads what all others wrote: a fence and an atomic order it, which is no race.
TEST_P(Corpus, SumByTheLastBlock) {
  int n = 70000;
  auto x = random(n), parts = empty(32), y = empty(1);
  for (int repeat = 0; repeat < 2; ++repeat) {
    launch("reductions", "reduce_lastblock", {{32, 1, 1}, {256, 1, 1}}, x, parts, y, n);
    EXPECT_NEAR(y.read()[0], sumOf(x.host), 1e-2);
  }
}

TEST_P(Corpus, ArgMax) {
  int rows = 20, columns = 333;
  auto x = random(rows * columns);
  auto y = empty<long long>(rows);
  launch("reductions", "argmax_row", {{20, 1, 1}, {32, 1, 1}}, x, y, columns);
  auto begin = x.host.begin();
  expectNear(y.read(), [&](int i) {
    auto row = begin + i * columns;
    return static_cast<double>(std::max_element(row, row + columns) - row);
  });
}

TEST_P(Corpus, BatchNorm) {
  int batch = 4, channels = 6, pixels = 49, m = batch * pixels;
  auto x = random(m * channels), g = random(channels), b = random(channels), y = empty(m * channels),
       mean = empty(channels), variance = empty(channels), saved = empty(channels), inverse = empty(channels);
  mean.zero();
  variance.zero();
  launch("reductions", "batchnorm_train", {{6, 1, 1}, {256, 1, 1}}, x, g, b, y, mean, variance, saved,
         inverse, batch, channels, pixels, 1e-5F, .1F);
  std::vector<double> mu(channels), q(channels);
  for (int i = 0; i < m * channels; ++i)
    mu[i / pixels % channels] += x.host[i] / m;
  for (int i = 0; i < m * channels; ++i)
    q[i / pixels % channels] += std::pow(x.host[i] - mu[i / pixels % channels], 2) / m;
  expectNear(y.read(), [&](int i) {
    int k = i / pixels % channels;
    return (x.host[i] - mu[k]) / std::sqrt(q[k] + 1e-5) * g.host[k] + b.host[k];
  });
  expectNear(variance.read(), [&](int k) { return .1 * q[k] * m / (m - 1); });
  expectNear(mean.read(), [&](int k) { return .1 * mu[k]; });
}

TEST_P(Corpus, LayerNorm) {
  int rows = 10, columns = 256;
  auto x = random(rows * columns), g = random(columns), b = random(columns), y = empty(rows * columns);
  launch("reductions", "layernorm", {{10, 1, 1}, {32, 1, 1}}, x, g, b, y, columns / 4, 1e-5F);
  expectNear(y.read(), [&](int i) {
    const float *row = x.host.data() + i / columns * columns;
    double mean = 0, square = 0;
    for (int k = 0; k < columns; ++k)
      mean += row[k] / static_cast<double>(columns);
    for (int k = 0; k < columns; ++k)
      square += (row[k] - mean) * (row[k] - mean) / columns;
    return (x.host[i] - mean) / std::sqrt(square + 1e-5) * g.host[i % columns] + b.host[i % columns];
  });
}

TEST_P(Corpus, CrossEntropy) {
  int batch = 64, classes = 10;
  std::vector<long long> chosen(batch);
  for (auto &label : chosen)
    label = generator() % classes;
  auto x = random(batch * classes), loss = empty(1), d = empty(batch * classes);
  loss.zero();
  auto labels = buffer(chosen);
  launch("reductions", "xent", {{8, 1, 1}, {256, 1, 1}}, x, labels, loss, d, classes, 1.F / batch);
  double total = 0;
  std::vector<double> z(batch);
  for (int i = 0; i < batch; ++i) {
    for (int k = 0; k < classes; ++k)
      z[i] += std::exp(static_cast<double>(x.host[i * classes + k]));
    total += (std::log(z[i]) - x.host[i * classes + chosen[i]]) / batch;
  }
  EXPECT_NEAR(loss.read()[0], total, 1e-5);
  expectNear(d.read(), [&](int i) {
    return (std::exp(x.host[i]) / z[i / classes] - (chosen[i / classes] == i % classes)) / batch;
  });
}

} // namespace
} // namespace cudasim::test
