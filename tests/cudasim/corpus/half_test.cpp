#include "lab.h"
#include "machine/float.h"

namespace cudasim::test {
namespace {

std::vector<uint16_t> narrow(const std::vector<float> &values, uint16_t (*to)(double, bool)) {
  std::vector<uint16_t> result;
  for (float value : values)
    result.push_back(to(value, false));
  return result;
}

double product(const std::vector<double> &a, const std::vector<double> &b, int n, int depth, int i) {
  double sum = 0;
  for (int k = 0; k < depth; ++k)
    sum += a[i / n * depth + k] * b[k * n + i % n];
  return sum;
}

TEST_P(Corpus, HalfConversions) {
  if (GetParam() < 80)
    GTEST_SKIP() << "bf16 needs sm_80";
  int n = 1000;
  auto a = random(n), o = empty(n);
  auto h = empty<uint16_t>(n), b = empty<uint16_t>(n);
  launch("half", "h_conv", {{4, 1, 1}, {256, 1, 1}}, a, h, b, o, n);
  EXPECT_EQ(h.read(), narrow(a.host, toHalf));
  EXPECT_EQ(b.read(), narrow(a.host, toBfloat));
  expectNear(
      o.read(), [&](int i) { return halfToFloat(toHalf(a.host[i])) + bfloatToFloat(toBfloat(a.host[i])); },
      1e-6);
}

TEST_P(Corpus, HalfArithmetic) {
  int n = 500;
  auto x = narrow(numbers(2 * n, -1, 1), toHalf), y = narrow(numbers(2 * n, -1, 1), toHalf);
  auto a = buffer(x), b = buffer(y);
  auto o = empty<uint16_t>(2 * n);
  launch("half", "h_arith", {{2, 1, 1}, {256, 1, 1}}, a, b, o, n);
  std::vector<double> got;
  for (uint16_t bits : o.read())
    got.push_back(halfToFloat(bits));
  expectNear(
      got,
      [&](int i) {
        double p = halfToFloat(x[i]), q = halfToFloat(y[i]);
        return std::max(p * q + (p + q), p * p) - q;
      },
      2e-3);
}

TEST_P(Corpus, BfloatArithmetic) {
  if (GetParam() < 90)
    GTEST_SKIP() << "bf16 arithmetic needs sm_90";
  int n = 500;
  auto x = narrow(numbers(2 * n, -1, 1), toBfloat), y = narrow(numbers(2 * n, -1, 1), toBfloat);
  auto a = buffer(x), b = buffer(y);
  auto o = empty<uint16_t>(2 * n);
  launch("half", "b_arith", {{2, 1, 1}, {256, 1, 1}}, a, b, o, n);
  std::vector<double> got;
  for (uint16_t bits : o.read())
    got.push_back(bfloatToFloat(bits));
  expectNear(
      got,
      [&](int i) {
        double p = bfloatToFloat(x[i]), q = bfloatToFloat(y[i]);
        return std::max(p * q + (p + q), p * p);
      },
      1.6e-2);
}

TEST_P(Corpus, TensorCoresMultiplyHalves) {
  int m = 32, n = 24, depth = 64;
  auto x = narrow(numbers(m * depth, -1, 1), toHalf), y = narrow(numbers(depth * n, -1, 1), toHalf);
  auto a = buffer(x), b = buffer(y);
  auto c = empty(m * n);
  launch("half", "mma_f16", {{3, 2, 1}, {32, 1, 1}}, a, b, c, m, n, depth);
  std::vector<double> p, q;
  for (uint16_t bits : x)
    p.push_back(halfToFloat(bits));
  for (uint16_t bits : y)
    q.push_back(halfToFloat(bits));
  expectNear(c.read(), [&](int i) { return product(p, q, n, depth, i); });
}

TEST_P(Corpus, TensorCoresMultiplyBfloats) {
  if (GetParam() < 80)
    GTEST_SKIP() << "mma of bf16 needs sm_80";
  int m = 32, n = 24, depth = 64;
  auto x = narrow(numbers(m * depth, -1, 1), toBfloat), y = narrow(numbers(depth * n, -1, 1), toBfloat);
  auto a = buffer(x), b = buffer(y);
  auto c = empty(m * n);
  launch("half", "mma_bf16", {{3, 2, 1}, {32, 1, 1}}, a, b, c, m, n, depth);
  std::vector<double> p, q;
  for (uint16_t bits : x)
    p.push_back(bfloatToFloat(bits));
  for (uint16_t bits : y)
    q.push_back(bfloatToFloat(bits));
  expectNear(c.read(), [&](int i) { return product(p, q, n, depth, i); });
}

TEST_P(Corpus, TensorCoresMultiplyTf32) {
  if (GetParam() < 80)
    GTEST_SKIP() << "mma of tf32 needs sm_80";
  int m = 32, n = 24, depth = 64;
  auto a = random(m * depth, -1, 1), b = random(depth * n, -1, 1), c = empty(m * n);
  launch("half", "mma_tf32", {{3, 2, 1}, {32, 1, 1}}, a, b, c, m, n, depth);
  std::vector<double> p, q;
  for (float value : a.host)
    p.push_back(toTf32(value, 0));
  for (float value : b.host)
    q.push_back(toTf32(value, 0));
  expectNear(c.read(), [&](int i) { return product(p, q, n, depth, i); });
}

} // namespace
} // namespace cudasim::test
