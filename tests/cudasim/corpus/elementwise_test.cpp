#include "lab.h"

namespace cudasim::test {
namespace {

TEST_P(Corpus, FusedElementwise) {
  int n = 10007, period = 37;
  auto a = random(n), b = random(n), c = random(period), o = empty(n);
  launch("elementwise", "ew_fused", {{40, 1, 1}, {256, 1, 1}}, a, b, c, o, n, period);
  expectNear(o.read(), [&](int i) {
    double x = a.host[i], y = b.host[i], z = c.host[i % period], t = std::tanh(x * y + z),
           u = std::exp(-std::fabs(x)), w = 1 / (1 + std::exp(-t));
    return t * u + w * (std::log(1 + u * u) + std::sqrt(w));
  });
}

TEST_P(Corpus, VectorsAreCoalesced) {
  int n = 4096;
  auto a = random(n), b = random(n), o = empty(n);
  Counters c = launch("elementwise", "ew_vec4", {{static_cast<uint32_t>(n / 4 / 256), 1, 1}, {256, 1, 1}}, a,
                      b, o, n / 4, 1.5F);
  expectNear(o.read(), [&](int i) { return std::max(a.host[i] * 1.5 + b.host[i], 0.); });
  EXPECT_EQ(c.globalLoadRequests, 64U);
  EXPECT_EQ(c.globalLoadSectors, 64U * 16); // 512 bytes a request
  EXPECT_EQ(c.globalLoadBytes, 2U * 4096 * 4);
  EXPECT_EQ(c.globalStoreSectors, 32U * 16);
  EXPECT_EQ(c.divergentBranches, 0U);
}

TEST_P(Corpus, Gelu) {
  int n = 5000;
  auto a = random(n, -4, 4), o = empty(n), g = empty(n);
  launch("elementwise", "ew_gelu", {{20, 1, 1}, {256, 1, 1}}, a, o, g, static_cast<long long>(n));
  expectNear(o.read(), [&](int i) { return a.host[i] * 0.5 * (1 + std::erf(a.host[i] * 0.70710678)); });
  expectNear(g.read(), [&](int i) {
    double x = a.host[i];
    return 0.5 * (1 + std::erf(x * 0.70710678)) + x * 0.39894228 * std::exp(-.5 * x * x);
  });
}

TEST_P(Corpus, ManyMathFunctions) {
  int n = 3000;
  auto a = random(n), b = random(n), o = empty(n);
  launch("elementwise", "ew_misc", {{12, 1, 1}, {256, 1, 1}}, a, b, o, n);
  auto reference = [&](int i) {
    double x = a.host[i], y = b.host[i];
    return std::pow(std::fabs(x), y) + std::log1p(std::fabs(y)) + std::expm1(x) + 1 / std::sqrt(1 + y * y) +
           std::floor(x) + std::ceil(y) + std::round(x) + std::fmod(x, 1.5) + std::trunc(y) +
           std::copysign(x, y) + std::fmin(x, y) + 1 + (y < 0) + std::exp2(x) + std::log2(std::fabs(x) + 1) +
           std::cbrt(x) + std::atan(y);
  };
  expectNear(o.read(), reference, 2e-5);
}

TEST_P(Corpus, TrigonometryOfLargeArguments) {
  int n = 3000;
  std::vector<float> values = numbers(n, -10, 10);
  for (int i = 0; i < n; i += 7)
    values[i] *= 1e6F;
  auto a = buffer(values);
  auto o = empty(n);
  launch("elementwise", "ew_trig", {{12, 1, 1}, {256, 1, 1}}, a, o, n);
  expectNear(o.read(), [&](int i) {
    float f = a.host[i];
    double q = f;
    return std::sin(q) * std::cos(q) + std::sin(static_cast<double>(2.F * f)) +
           std::cos(static_cast<double>(f + 1.F));
  });
}

TEST_P(Corpus, Doubles) {
  int n = 1000;
  auto values = numbers(n);
  auto a = buffer(std::vector<double>(values.begin(), values.end()));
  auto o = empty<double>(n);
  launch("elementwise", "ew_double", {{4, 1, 1}, {256, 1, 1}}, a, o, n);
  auto reference = [&](int i) {
    return std::exp(a.host[i]) + a.host[i] / (1 + a.host[i] * a.host[i]) + std::sqrt(std::fabs(a.host[i]));
  };
  expectNear(o.read(), reference, 1e-14);
}

TEST_P(Corpus, Broadcast) {
  int d0 = 3, d1 = 5, d2 = 7, d3 = 11, n = d0 * d1 * d2 * d3;
  auto a = random(n), b = random(77), o = empty(n);
  launch("elementwise", "ew_bcast", {{10, 1, 1}, {128, 1, 1}}, a, b, o, n, d1, d2, d3, 0LL, 0LL, 11LL, 1LL);
  expectNear(o.read(),
             [&](int i) { return static_cast<double>(a.host[i]) * b.host[i / d3 % d2 * 11 + i % d3]; });
}

TEST_P(Corpus, BytesAndWideIntegers) {
  int n = 1000;
  std::vector<unsigned char> mask(n);
  std::vector<int> integers(n);
  std::vector<long long> wide(n);
  for (int i = 0; i < n; ++i) {
    mask[i] = generator() % 2;
    integers[i] = static_cast<int>(generator() % 7) - 3;
    wide[i] = static_cast<int>(generator() % 11) - 5;
  }
  auto m = buffer(mask);
  auto a = random(n), o = empty(n);
  auto b = buffer(integers);
  auto c = buffer(wide);
  launch("elementwise", "ew_where", {{4, 1, 1}, {256, 1, 1}}, m, a, b, c, o, n);
  auto chosen = [&](int i) {
    return (mask[i] ? a.host[i] : static_cast<float>(integers[i])) + static_cast<float>(wide[i]);
  };
  expectNear(o.read(), [&](int i) { return chosen(i) > 0 && integers[i] != 3 ? chosen(i) : -chosen(i); });
  expectNear(m.read(), [&](int i) {
    return static_cast<double>(static_cast<unsigned char>(static_cast<int>(chosen(i))));
  });
}

TEST_P(Corpus, Adam) {
  int n = 2000;
  auto p = random(n), g = random(n), m = random(n, 0, 1), v = random(n, 0, 1);
  launch("elementwise", "ew_adam", {{8, 1, 1}, {256, 1, 1}}, p, g, m, v, n, 1e-2F, .9F, .99F, 1e-8F, .01F,
         1.1F, 1.2F);
  expectNear(p.read(), [&](int i) {
    double gradient = g.host[i] + .01 * p.host[i], mean = .9 * m.host[i] + .1 * gradient,
           square = .99 * v.host[i] + .01 * gradient * gradient;
    return p.host[i] - 1e-2 * (mean * 1.1) / (std::sqrt(square * 1.2) + 1e-8);
  });
}

} // namespace
} // namespace cudasim::test
