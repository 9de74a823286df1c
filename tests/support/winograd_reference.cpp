#include "tests/support/winograd_reference.h"

#include <algorithm>
#include <array>

#include "ir/layout.h"

namespace gradc::testing::contract {

namespace {

// Winograd's F(m×n, r×r) with the points 0, ±5/8, ±3/2, ∞ or 0, ±1/2, ±1, ±2, ∞ (ir/winograd.h), one line at a time.

using LineFunction = std::function<Floats(const Floats &)>;

/// What the lines of a patch multiply by.
struct WinogradPoints {
  std::vector<double> pairs;               // of each the positive point
  std::vector<double> all;                 // coefficients of Π(y - p²) over all pairs, from the constant on
  std::vector<std::vector<double>> others; // over all but one
  std::vector<double> scales;              // 1 / Π(p - q) over the other points
  std::vector<std::vector<float>> powers;  // of each point

  explicit WinogradPoints(std::vector<double> of) : pairs(std::move(of)), all(product(pairs)) {
    for (size_t i = 0; i < pairs.size(); ++i) {
      std::vector<double> rest = pairs;
      rest.erase(rest.begin() + static_cast<int64_t>(i));
      others.push_back(product(rest));
      double scale = 2 * pairs[i] * pairs[i];
      for (const double q : rest)
        scale *= pairs[i] * pairs[i] - q * q;
      scales.push_back(1 / scale);
      powers.push_back({1});
      for (int k = 0; k < 5; ++k)
        powers.back().push_back(powers.back().back() * static_cast<float>(pairs[i]));
    }
  }
  static std::vector<double> product(const std::vector<double> &pairs) {
    std::vector<double> product{1};
    for (const double p : pairs) {
      std::vector<double> next(product.size() + 1, 0);
      for (size_t i = 0; i < product.size(); ++i) {
        next[i + 1] += product[i];
        next[i] -= p * p * product[i];
      }
      product = next;
    }
    return product;
  }
};

const WinogradPoints &pointsOf(size_t patch) {
  static const WinogradPoints six({0.625, 1.5}), eight({0.5, 1, 2});
  return patch == 6 ? six : eight;
}

/// The sum of coefficients times every second element, added from the last on, whose coefficient is 1.
float everySecond(const Floats &d, size_t first, const std::vector<double> &coefficients) {
  float sum = d[first + 2 * (coefficients.size() - 1)];
  for (size_t i = coefficients.size() - 1; i-- > 0;)
    sum = step(static_cast<float>(coefficients[i]), d[first + 2 * i], sum);
  return sum;
}

Floats operandLine(const Floats &d) {
  const WinogradPoints &points = pointsOf(d.size());
  Floats line{everySecond(d, 0, points.all)};
  for (size_t i = 0; i < points.pairs.size(); ++i) {
    const float even = everySecond(d, 2, points.others[i]), odd = everySecond(d, 1, points.others[i]);
    line.push_back(step(points.powers[i][1], odd, even));
    line.push_back(step(-points.powers[i][1], odd, even));
  }
  line.push_back(everySecond(d, 1, points.all));
  return line;
}

/// The even or the odd taps, from the highest power down.
float taps(const Floats &g, size_t first, float square) {
  return first + 2 < g.size() ? step(square, taps(g, first + 2, square), g[first]) : g[first];
}

Floats weightsLine(const Floats &g, size_t patch) {
  const WinogradPoints &points = pointsOf(patch);
  Floats line{static_cast<float>(1 / points.all[0]) * g[0]};
  for (size_t i = 0; i < points.pairs.size(); ++i) {
    const float even = static_cast<float>(points.scales[i]) * taps(g, 0, points.powers[i][2]);
    const float odd =
        static_cast<float>(points.scales[i] * points.pairs[i]) * taps(g, 1, points.powers[i][2]);
    line.push_back(even + odd);
    line.push_back(even - odd);
  }
  line.push_back(g.back());
  return line;
}

Floats resultLine(const Floats &m, size_t size) {
  const WinogradPoints &points = pointsOf(m.size());
  const size_t pairs = points.pairs.size();
  float first = 0;
  for (size_t i = pairs; i-- > 0;)
    first = m[2 * i + 1] + m[2 * i + 2] + (i + 1 < pairs ? first : 0);
  Floats result{m[0] + first};
  for (size_t row = 1; row < size; ++row) {
    const bool last = row + 1 == size;
    float sum = m.back();
    for (size_t k = 0; k < pairs; ++k) {
      const size_t i = last ? pairs - 1 - k : k;
      const float pair = row % 2 ? m[2 * i + 1] - m[2 * i + 2] : m[2 * i + 1] + m[2 * i + 2];
      const float product = points.powers[i][row] * pair; // rounded before it is added, if it is the first
      sum = k == 0 && !last ? product : step(points.powers[i][row], pair, sum);
    }
    result.push_back(sum);
  }
  return result;
}

/// A transform of lines down the columns of a matrix of so many columns, then one along its rows.
Floats onMatrix(const Floats &x, size_t width, const LineFunction &column, const LineFunction &row) {
  std::vector<Floats> columns;
  for (size_t j = 0; j < width; ++j) {
    Floats values;
    for (size_t i = 0; i < x.size(); i += width)
      values.push_back(x[i + j]);
    columns.push_back(column(values));
  }
  Floats result;
  for (size_t i = 0; i < columns[0].size(); ++i) {
    Floats values;
    for (const Floats &line : columns)
      values.push_back(line[i]);
    for (float value : row(values))
      result.push_back(value);
  }
  return result;
}

} // namespace

Floats referenceWinograd(const Shape &in, const Shape &out, int64_t top, int64_t left, int64_t kernel,
                         const Floats &x, const std::function<Floats(int64_t, int64_t)> &g) {
  const int64_t height = 7 - kernel, width = kernel == 5 ? 4 : height; // of a tile
  const int64_t patch = width + kernel - 1, points = 6 * patch;
  std::vector<Floats> weights;
  for (int64_t i = 0; i < out[1] * in[1]; ++i)
    weights.push_back(onMatrix(
        g(i / in[1], i % in[1]), kernel, [](const Floats &line) { return weightsLine(line, 6); },
        [&](const Floats &line) { return weightsLine(line, patch); }));
  auto at = [&](int64_t n, int64_t c, int64_t h, int64_t w) {
    return h >= 0 && w >= 0 && h < in[2] && w < in[3] ? x[((n * in[1] + c) * in[2] + h) * in[3] + w] : 0;
  };
  Floats y(out.elements());
  for (int64_t n = 0; n < out[0]; ++n)
    for (int64_t h = 0; h < out[2]; h += height)
      for (int64_t w = 0; w < out[3]; w += width) {
        std::vector<Floats> patches;
        for (int64_t c = 0; c < in[1]; ++c) {
          Floats pixels;
          for (int64_t i = 0; i < points; ++i)
            pixels.push_back(at(n, c, top + h + i / patch, left + w + i % patch));
          patches.push_back(onMatrix(pixels, patch, operandLine, operandLine));
        }
        for (int64_t o = 0; o < out[1]; ++o) {
          Floats sums(points, 0);
          for (int64_t c = 0; c < in[1]; ++c)
            for (int64_t i = 0; i < points; ++i)
              sums[i] = step(weights[o * in[1] + c][i], patches[c][i], sums[i]);
          const Floats result = onMatrix(
              sums, patch, [&](const Floats &m) { return resultLine(m, height); },
              [&](const Floats &m) { return resultLine(m, width); });
          for (int64_t i = 0; i < height * width; ++i)
            if (h + i / width < out[2] && w + i % width < out[3])
              y[((n * out[1] + o) * out[2] + h + i / width) * out[3] + w + i % width] = result[i];
        }
      }
  return y;
}

Floats referenceWinograd(const Operation &op, const Floats &a, const Floats &b) {
  const bool gradient = op.def->name == "conv2d_grad_input";
  const std::vector<int64_t> padding = op.attrs.ints("padding");
  const int64_t size = op.b.shape[2], last = size - 1;
  auto kernel = [&](int64_t result, int64_t channel) {
    const int64_t filter = gradient ? channel : result, input = gradient ? result : channel;
    const auto first = b.begin() + (filter * op.b.shape[1] + input) * size * size;
    Floats taps(first, first + size * size);
    if (gradient)
      std::ranges::reverse(taps);
    return taps;
  };
  return referenceWinograd(op.a.shape, op.result.shape, gradient ? padding[0] - last : -padding[0],
                           gradient ? padding[2] - last : -padding[2], size, a, kernel);
}

Floats referenceWinogradWeight(const Operation &op, int64_t tile, int64_t segments, const Floats &x,
                               const Floats &dy) {
  const Shape &in = op.a.shape, &map = op.b.shape, &w = op.result.shape;
  const std::vector<int64_t> padding = op.attrs.ints("padding");
  const int64_t size = w[2], patch = tile + size - 1, points = patch * patch, blocks = laneBlocks(in[0]);
  auto square = [](const Shape &s, const Floats &from, int64_t n, int64_t c, int64_t top, int64_t left,
                   int64_t edge) {
    Floats values(edge * edge, 0);
    for (int64_t i = 0; i < edge * edge; ++i)
      if (const int64_t h = top + i / edge, v = left + i % edge;
          n < s[0] && h >= 0 && v >= 0 && h < s[2] && v < s[3])
        values[i] = from[((n * s[1] + c) * s[2] + h) * s[3] + v];
    return values;
  };
  auto weights = [&](const Floats &line) { return weightsLine(line, patch); };
  auto results = [&](const Floats &line) { return resultLine(line, size); };
  std::vector<std::array<int64_t, 3>> tiles; // block, row, column
  for (int64_t block = 0; block < blocks; ++block)
    for (int64_t h = 0; h < map[2]; h += tile)
      for (int64_t v = 0; v < map[3]; v += tile)
        tiles.push_back({block, h, v});
  std::vector<std::vector<Floats>> sums(segments, std::vector<Floats>(w[0] * w[1], Floats(points, 0)));
  const auto count = static_cast<int64_t>(tiles.size());
  for (int64_t s = 0; s < segments; ++s)
    for (int64_t t = s * count / segments; t < (s + 1) * count / segments; ++t)
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const auto [block, h, v] = tiles[t];
        const int64_t n = block * kLanes + lane;
        std::vector<Floats> images, gradients;
        for (int64_t c = 0; c < w[1]; ++c)
          images.push_back(onMatrix(square(in, x, n, c, h - padding[0], v - padding[2], patch), patch,
                                    operandLine, operandLine));
        for (int64_t o = 0; o < w[0]; ++o)
          gradients.push_back(onMatrix(square(map, dy, n, o, h, v, tile), tile, weights, weights));
        for (int64_t i = 0; i < w[0] * w[1] * points; ++i) {
          const int64_t o = i / points / w[1], c = i / points % w[1], point = i % points;
          float &sum = sums[s][o * w[1] + c][point];
          sum = step(images[c][point], gradients[o][point], sum);
        }
      }
  Floats dw;
  for (int64_t i = 0; i < w[0] * w[1]; ++i) {
    Floats products;
    for (int64_t point = 0; point < points; ++point) {
      Floats parts;
      for (int64_t s = 0; s < segments; ++s)
        parts.push_back(sums[s][i][point]);
      products.push_back(tree(parts));
    }
    for (float value : onMatrix(products, patch, results, results))
      dw.push_back(value);
  }
  return dw;
}

} // namespace gradc::testing::contract
