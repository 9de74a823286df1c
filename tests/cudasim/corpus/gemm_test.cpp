#include "lab.h"

namespace cudasim::test {
namespace {

double dot(const std::vector<float> &a, const std::vector<float> &b, int n, int depth, int i) {
  double sum = 0;
  for (int k = 0; k < depth; ++k)
    sum += static_cast<double>(a[i / n * depth + k]) * b[k * n + i % n];
  return sum;
}

TEST_P(Corpus, Gemm) {
  int m = 100, n = 132, k = 68;
  auto a = random(m * k), b = random(k * n), c = random(m * n);
  Counters counters = launch("gemm", "gemm64", {{3, 2, 1}, {256, 1, 1}}, a, b, c, m, n, k, 2.F, .5F);
  expectNear(c.read(), [&](int i) { return 2 * dot(a.host, b.host, n, k, i) + .5 * c.host[i]; });
  EXPECT_EQ(counters.of("fma.rn.f32"), counters.of(OpClass::Fma));
  EXPECT_EQ(counters.barriers, 2U * 5 * 6); // twice in each of 5 steps, 6 blocks
}

TEST_P(Corpus, GemmWithAsynchronousCopies) {
  if (GetParam() < 80)
    GTEST_SKIP() << "cp.async needs sm_80";
  int m = 64, n = 129, k = 64;
  auto a = random(m * k), b = random(k * n), c = empty(m * n);
  launch("async", "gemm_cpasync", {{3, 1, 1}, {256, 1, 1}, 16384}, a, b, c, m, n, k);
  expectNear(c.read(), [&](int i) { return dot(a.host, b.host, n, k, i); });
}

TEST_P(Corpus, Convolution) {
  int batch = 2, channels = 3, h = 12, w = 11, filters = 8, r = 3, s = 3;
  auto x = random(batch * channels * h * w), f = random(filters * channels * r * s), bias = random(filters),
       y = empty(batch * filters * h * w);
  launch("gemm", "conv_igemm", {{5, 1, 1}, {256, 1, 1}}, x, f, bias, y, batch, channels, h, w, filters, r, s,
         h, w, 1, 1);
  expectNear(y.read(), [&](int i) {
    int column = i % w, row = i / w % h, filter = i / (w * h) % filters, image = i / (w * h * filters);
    double sum = bias.host[filter];
    for (int c = 0; c < channels; ++c)
      for (int dy = 0; dy < r; ++dy)
        for (int dx = 0; dx < s; ++dx) {
          int py = row - 1 + dy, px = column - 1 + dx;
          if (py >= 0 && py < h && px >= 0 && px < w)
            sum += static_cast<double>(x.host[((image * channels + c) * h + py) * w + px]) *
                   f.host[((filter * channels + c) * r + dy) * s + dx];
        }
    return std::max(sum, 0.);
  });
}

} // namespace
} // namespace cudasim::test
