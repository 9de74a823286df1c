#include "lab.h"

namespace cudasim::test {
namespace {

TEST_P(Corpus, MaxPoolingForwardAndBackward) {
  int planes = 6, h = 9, w = 10, oh = 5, ow = 5, total = planes * oh * ow;
  auto x = random(planes * h * w), y = empty(total), dy = random(total), dx = empty(planes * h * w);
  auto winners = empty<int>(total);
  dx.zero();
  launch("nn", "maxpool_fwd", {{2, 1, 1}, {128, 1, 1}}, x, y, winners, total, h, w, oh, ow, 3, 3, 2, 2, 1, 1);
  auto best = [&](int i, bool place) {
    int column = i % ow, row = i / ow % oh, plane = i / (ow * oh), at = 0;
    double most = -1e9;
    for (int py = std::max(0, row * 2 - 1); py < std::min(h, row * 2 + 2); ++py)
      for (int px = std::max(0, column * 2 - 1); px < std::min(w, column * 2 + 2); ++px)
        if (x.host[(plane * h + py) * w + px] > most)
          most = x.host[(plane * h + py) * w + px], at = py * w + px;
    return place ? at : most;
  };
  expectNear(y.read(), [&](int i) { return best(i, false); });
  expectNear(winners.read(), [&](int i) { return best(i, true); });
  launch("nn", "maxpool_bwd", {{2, 1, 1}, {128, 1, 1}}, dy, winners, dx, total, h * w, oh * ow);
  std::vector<double> expected(planes * h * w);
  for (int i = 0; i < total; ++i)
    expected[i / (oh * ow) * h * w + static_cast<int>(best(i, true))] += dy.host[i];
  expectNear(dx.read(), [&](int i) { return expected[i]; });
}

TEST_P(Corpus, TransposeWithoutBankConflicts) {
  int rows = 70, columns = 45;
  auto x = random(rows * columns), y = empty(rows * columns);
  Counters c = launch("nn", "transpose", {{2, 3, 1}, {32, 8, 1}}, x, y, rows, columns);
  expectNear(
      y.read(), [&](int i) { return x.host[i % rows * columns + i / rows]; }, 0);
  EXPECT_EQ(c.sharedReplays, 0U);
  EXPECT_GT(c.sharedLoadRequests, 0U);
}

TEST_P(Corpus, PhiloxDropout) {
  int n = 4096;
  auto x = random(n), y = empty(n);
  auto mask = empty<uint32_t>(n / 128);
  launch("nn", "dropout", {{4, 1, 1}, {256, 1, 1}}, x, y, mask, n / 4, .5F, 2.F, 0x123456789abcULL, 7ULL);
  expectNear(y.read(), [&](int i) {
    uint64_t counter = 7 + i / 4;
    uint32_t c[4] = {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0},
             k0 = 0x56789abc, k1 = 0x1234;
    for (int round = 0; round < 10; ++round) {
      uint64_t p0 = 0xD2511F53ULL * c[0], p1 = 0xCD9E8D57ULL * c[2];
      uint32_t next[4] = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
                          static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
      std::copy(next, next + 4, c);
      k0 += 0x9E3779B9U;
      k1 += 0xBB67AE85U;
    }
    return static_cast<float>(c[i % 4]) * 2.3283064e-10F >= .5F ? x.host[i] * 2. : 0.;
  });
}

TEST_P(Corpus, NormalNumbers) {
  int n = 20000;
  auto y = empty(n);
  launch("nn", "randn", {{40, 1, 1}, {256, 1, 1}}, y, n / 2, 5ULL);
  double sum = 0, squares = 0;
  for (float value : y.read())
    sum += value, squares += value * value;
  EXPECT_NEAR(sum / n, 0, 3e-2);
  EXPECT_NEAR(squares / n, 1, 3e-2);
}

TEST_P(Corpus, EmbeddingBackward) {
  int n = 100, width = 16, words = 10;
  std::vector<long long> chosen(n);
  for (auto &word : chosen)
    word = generator() % words;
  auto indices = buffer(chosen);
  auto dy = random(n * width), dw = empty(words * width);
  dw.zero();
  launch("nn", "embed_bwd", {{7, 1, 1}, {256, 1, 1}}, dy, indices, dw, n, width);
  std::vector<double> expected(words * width);
  for (int i = 0; i < n * width; ++i)
    expected[chosen[i / width] * width + i % width] += dy.host[i];
  expectNear(dw.read(), [&](int i) { return expected[i]; });
}

TEST_P(Corpus, Atomics) {
  int n = 1000;
  auto x = random(n, 0, 100);
  auto a = buffer(std::vector<int>{0, -1000, 1000});
  auto u = buffer(std::vector<uint32_t>{0, ~0U, 0, 0});
  auto l = buffer(std::vector<uint64_t>{0, 0});
  auto f = buffer(std::vector<float>{-1});
  auto d = buffer(std::vector<double>{0});
  launch("nn", "atomics", {{4, 1, 1}, {256, 1, 1}}, a, u, l, f, d, x, n);
  int sum = 0, most = -1000, least = 1000;
  double exact = 0;
  float largest = -1;
  uint32_t mixed = 0;
  uint64_t pair = 0;
  for (int i = 0; i < n; ++i) {
    float v = x.host[i];
    sum += static_cast<int>(v);
    most = std::max(most, static_cast<int>(v));
    least = std::min(least, static_cast<int>(v));
    exact += v;
    largest = std::max(largest, v);
    mixed ^= static_cast<uint32_t>(i);
    pair = std::max(pair, static_cast<uint64_t>(std::bit_cast<uint32_t>(v)) << 32 | static_cast<uint64_t>(i));
  }
  EXPECT_EQ(a.read(), (std::vector<int>{sum, most, least}));
  EXPECT_NEAR(d.read()[0], exact, 1e-9);
  EXPECT_EQ(f.read()[0], largest);
  std::vector<uint32_t> bits = u.read();
  EXPECT_EQ(bits[0], ~0U);
  EXPECT_EQ(bits[1], 0U);
  EXPECT_EQ(bits[2], mixed);
  EXPECT_EQ(l.read(), (std::vector<uint64_t>{static_cast<uint64_t>(n) * (n - 1) / 2, pair}));
}

uint32_t bytePermute(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t bytes = a | static_cast<uint64_t>(b) << 32;
  uint32_t result = 0;
  for (int k = 0; k < 4; ++k)
    result |= static_cast<uint32_t>(bytes >> 8 * (selector >> 4 * k & 7) & 255) << 8 * k;
  return result;
}

TEST_P(Corpus, BitTricks) {
  int n = 64;
  std::vector<uint32_t> values(n);
  for (auto &value : values)
    value = generator();
  auto x = buffer(values);
  auto y = empty<uint32_t>(n);
  launch("nn", "bits", {{1, 1, 1}, {64, 1, 1}}, x, y, n);
  uint32_t above = 0;
  bool nine = false;
  for (uint32_t v : values)
    above += v > 3, nine |= v == 9;
  std::vector<uint32_t> expected(n);
  for (int i = 0; i < n; ++i) {
    uint32_t v = values[i], index = static_cast<uint32_t>(i), reversed = 0, alike = 0, sum = 0;
    bool any = false, all = true;
    for (int k = 0; k < 32; ++k) {
      uint32_t other = values[i / 32 * 32 + k];
      reversed |= (v >> k & 1) << (31 - k);
      alike |= static_cast<uint32_t>((other & 3) == (v & 3)) << k;
      sum += other;
      any |= other > 5;
      all &= other > 5;
    }
    uint32_t r =
        static_cast<uint32_t>(std::popcount(v) + std::countl_zero(v) + (v ? std::countr_zero(v) + 1 : 0)) +
        reversed + bytePermute(v, index, 0x1230) + (index << 5 | v >> 27) + std::rotl(v, 7) + alike + any +
        all + sum;
    r += values[i / 32 * 32] + values[i % 32 ? i - 1 : i] + above + nine;
    uint32_t perByte = 0, dot = 3;
    for (int shift = 0; shift < 32; shift += 8)
      perByte |= (((r >> shift & 255) + (v >> shift & 255)) & 255) << shift;
    for (int shift = 0; shift < 32; shift += 8)
      dot += static_cast<uint32_t>(static_cast<int8_t>(v >> shift) * static_cast<int8_t>(r >> shift));
    auto a = static_cast<int32_t>(v), b = static_cast<int32_t>(r);
    uint32_t apart = a < b ? static_cast<uint32_t>(b) - static_cast<uint32_t>(a)
                           : static_cast<uint32_t>(a) - static_cast<uint32_t>(b);
    expected[i] = perByte + dot + apart + 1;
  }
  EXPECT_EQ(y.read(), expected);
}

TEST_P(Corpus, Switch) {
  int n = 1000;
  std::vector<int> chosen(n);
  for (auto &op : chosen)
    op = generator() % 9;
  auto ops = buffer(chosen);
  auto a = random(n, .1F, 2), o = empty(n);
  Counters c = launch("nn", "sw", {{4, 1, 1}, {256, 1, 1}}, ops, a, o, n);
  EXPECT_GT(c.divergentBranches, 0U);
  expectNear(o.read(), [&](int i) {
    double x = a.host[i];
    double results[] = {
        std::exp(x), std::sin(x), std::tanh(x), std::log(x), std::sqrt(x), x * x, 1 / x, std::erf(x), 0};
    return results[chosen[i]];
  });
}

} // namespace
} // namespace cudasim::test
