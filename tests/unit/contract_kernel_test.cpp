// Contraction kernels against chains of fmaf in the canonical order (ir/order.h): every bit must agree, for every
// processor, tile and partition of the grid.
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "codegen/cpu/contract_plan.h"
#include "codegen/cpu/kernel.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "ir/text.h"
#include "ir/winograd.h"
#include "tests/support/kernel_jit.h"

namespace gradc {
namespace {

using Floats = std::vector<float>;

/// Where a logical element lies in memory.
int64_t memoryIndex(const Type &type, int64_t linear) {
  if (type.layout.empty())
    return linear;
  const int64_t rest = type.elements() / type.shape[0];
  const int64_t n = linear / rest;
  return (n / kLanes * rest + linear % rest) * kLanes + n % kLanes;
}

/// A tensor in memory with poison around it.
class Buffer {
public:
  explicit Buffer(Type type) : type_(std::move(type)) {
    memory_.assign(storageBytes(type_) / 4 + 2 * kMargin, kPoison);
  }
  void set(const Floats &logical) {
    std::fill(memory_.begin() + kMargin, memory_.end() - kMargin, 0.0f); // padding

    for (int64_t i = 0; i < type_.elements(); ++i)
      data()[memoryIndex(type_, i)] = logical[i];
  }
  Floats get() {
    Floats logical(type_.elements());
    for (int64_t i = 0; i < type_.elements(); ++i)
      logical[i] = data()[memoryIndex(type_, i)];
    return logical;
  }
  /// What n16 has beyond the batch.
  bool paddingIsZero() {
    std::vector<bool> used(storageBytes(type_) / 4);
    for (int64_t i = 0; i < type_.elements(); ++i)
      used[memoryIndex(type_, i)] = true;
    for (size_t i = 0; i < used.size(); ++i)
      if (!used[i] && data()[i] != 0)
        return false;
    return true;
  }
  bool marginsIntact() const {
    return std::all_of(memory_.begin(), memory_.begin() + kMargin, [](float x) { return x == kPoison; }) &&
           std::all_of(memory_.end() - kMargin, memory_.end(), [](float x) { return x == kPoison; });
  }
  float *data() { return memory_.data() + kMargin; }

private:
  static constexpr int64_t kMargin = 64;
  static constexpr float kPoison = 1e30f;
  Type type_;
  std::vector<float, std::allocator<float>> memory_;
};

Floats randomFloats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

bool fusedClass = true; // multiply-adds round once
float step(float x, float y, float sum) {
  if (fusedClass)
    return std::fmaf(x, y, sum);
  volatile float product = x * y;
  return product + sum;
}

// --- References -----------------------------------------------------------------------------------------------

struct Operation {
  const OpDef *def;
  Type a, b, result;
  Dict attrs;
};

float tree(Floats values) {
  for (size_t half = values.size() / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i)
      values[i] += values[i + half];
  return values[0];
}

Floats referenceMatmul(const Operation &op, const ReductionOrder &order, const Floats &a, const Floats &b) {
  const int rank = op.result.rank();
  const bool ta = op.attrs.flag("transpose_a"), tb = op.attrs.flag("transpose_b");
  const int64_t rows = op.result.shape[rank - 2], columns = op.result.shape[rank - 1];
  const int64_t depth = op.a.shape[ta ? rank - 2 : rank - 1];
  Floats result(op.result.elements());
  for (int64_t i = 0; i < op.result.elements(); ++i) {
    const int64_t n = i % columns, m = i / columns % rows, batch = i / (rows * columns);
    const int64_t batchB = op.b.rank() == 2 ? 0 : batch;
    Floats partial(order.lanes, 0);
    for (int64_t k = 0; k < depth; ++k) {
      float &sum = partial[k % order.lanes];
      sum = step(a[batch * rows * depth + (ta ? k * rows + m : m * depth + k)],
                 b[batchB * depth * columns + (tb ? n * depth + k : k * columns + n)], sum);
    }
    result[i] = tree(partial);
  }
  return result;
}

/// The forward convolution that an op belongs to.
struct Conv {
  Shape x, w, y;
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups;

  int64_t xAt(int64_t n, int64_t c, int64_t h, int64_t v) const {
    return ((n * x[1] + c) * x[2] + h) * x[3] + v;
  }
  int64_t wAt(int64_t o, int64_t c, int64_t h, int64_t v) const {
    return ((o * w[1] + c) * w[2] + h) * w[3] + v;
  }
  int64_t yAt(int64_t n, int64_t o, int64_t h, int64_t v) const {
    return ((n * y[1] + o) * y[2] + h) * y[3] + v;
  }
  /// The input position of an output position and a tap, or -1.
  int64_t in(int axis, int64_t o, int64_t tap) const {
    const int64_t i = o * stride[axis] - padding[2 * axis] + tap * dilation[axis];
    return i >= 0 && i < x[2 + axis] ? i : -1;
  }
};

Conv convOf(const Operation &op, Shape x, Shape w, Shape y) {
  return {x,
          w,
          y,
          op.attrs.ints("stride"),
          op.attrs.ints("padding"),
          op.attrs.ints("dilation"),
          op.attrs.i64("groups")};
}

Floats referenceConv(const Conv &c, const Floats &x, const Floats &w) {
  Floats y(c.y.elements());
  const int64_t perGroup = c.w[1], filters = c.w[0] / c.groups;
  for (int64_t n = 0; n < c.y[0]; ++n)
    for (int64_t o = 0; o < c.y[1]; ++o)
      for (int64_t oh = 0; oh < c.y[2]; ++oh)
        for (int64_t ow = 0; ow < c.y[3]; ++ow) {
          float sum = 0;
          for (int64_t kh = 0; kh < c.w[2]; ++kh)
            for (int64_t kw = 0; kw < c.w[3]; ++kw)
              for (int64_t i = 0; i < perGroup; ++i)
                if (const int64_t h = c.in(0, oh, kh), v = c.in(1, ow, kw); h >= 0 && v >= 0)
                  sum = step(w[c.wAt(o, i, kh, kw)], x[c.xAt(n, o / filters * perGroup + i, h, v)], sum);
          y[c.yAt(n, o, oh, ow)] = sum;
        }
  return y;
}

Floats referenceGradInput(const Conv &c, const Floats &dy, const Floats &w) {
  Floats dx(c.x.elements(), 0);
  const int64_t perGroup = c.w[1], filters = c.w[0] / c.groups;
  for (int64_t n = 0; n < c.x[0]; ++n)
    for (int64_t i = 0; i < c.x[1]; ++i)
      for (int64_t h = 0; h < c.x[2]; ++h)
        for (int64_t v = 0; v < c.x[3]; ++v) {
          float sum = 0;
          for (int64_t kh = 0; kh < c.w[2]; ++kh)
            for (int64_t kw = 0; kw < c.w[3]; ++kw) {
              const int64_t oh = (h + c.padding[0] - kh * c.dilation[0]),
                            ow = v + c.padding[2] - kw * c.dilation[1];
              if (oh < 0 || ow < 0 || oh % c.stride[0] || ow % c.stride[1] || oh / c.stride[0] >= c.y[2] ||
                  ow / c.stride[1] >= c.y[3])
                continue;
              for (int64_t o = 0; o < filters; ++o) {
                const int64_t filter = i / perGroup * filters + o;
                sum = step(w[c.wAt(filter, i % perGroup, kh, kw)],
                           dy[c.yAt(n, filter, oh / c.stride[0], ow / c.stride[1])], sum);
              }
            }
          dx[c.xAt(n, i, h, v)] = sum;
        }
  return dx;
}

Floats referenceGradWeight(const Conv &c, const ReductionOrder &order, const Floats &x, const Floats &dy) {
  Floats dw(c.w.elements());
  const int64_t perGroup = c.w[1], filters = c.w[0] / c.groups;
  const int64_t lanes = order.lanes, blocks = laneBlocks(c.x[0]), segment = blocks / order.split;
  for (int64_t o = 0; o < c.w[0]; ++o)
    for (int64_t i = 0; i < perGroup; ++i)
      for (int64_t kh = 0; kh < c.w[2]; ++kh)
        for (int64_t kw = 0; kw < c.w[3]; ++kw) {
          Floats segments;
          for (int64_t s = 0; s < order.split; ++s) {
            Floats partial(lanes, 0);
            for (int64_t lane = 0; lane < lanes; ++lane)
              for (int64_t block = s * segment; block < (s + 1) * segment; ++block)
                for (int64_t oh = 0; oh < c.y[2]; ++oh)
                  for (int64_t ow = 0; ow < c.y[3]; ++ow)
                    if (const int64_t h = c.in(0, oh, kh), v = c.in(1, ow, kw); h >= 0 && v >= 0) {
                      const int64_t n = block * lanes + lane;
                      if (n >= c.x[0])
                        partial[lane] = step(0, 0, partial[lane]);
                      else
                        partial[lane] = step(dy[c.yAt(n, o, oh, ow)],
                                             x[c.xAt(n, o / filters * perGroup + i, h, v)], partial[lane]);
                    }
            segments.push_back(tree(partial));
          }
          dw[c.wAt(o, i, kh, kw)] = tree(segments);
        }
  return dw;
}

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

/// A correlation of x, from (top, left) on, with the kernels g(result channel, channel).
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

/// Towards the weights: patches of the image are correlated with tiles of the gradient, and the products summed over
/// the images of all tiles, in segments.
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

Floats reference(const Operation &op, const ReductionOrder &order, const Floats &a, const Floats &b) {
  if (op.def->name == "matmul")
    return referenceMatmul(op, order, a, b);
  if (op.def->name == "conv2d")
    return referenceConv(convOf(op, op.a.shape, op.b.shape, op.result.shape), a, b);
  if (op.def->name == "conv2d_grad_input")
    return referenceGradInput(convOf(op, op.result.shape, op.b.shape, op.a.shape), a, b);
  return referenceGradWeight(convOf(op, op.a.shape, op.result.shape, op.b.shape), order, a, b);
}

// --- Running ----------------------------------------------------------------------------------------------------

/// Runs the steps of a kernel over a partition of its items that depends on `seed`.
void runSteps(testing::KernelJit &jit, const KernelCode &code, std::vector<void *> buffers, uint32_t seed) {
  std::vector<char> workspace(code.workspaceBytes + 64);
  void *base = workspace.data();
  size_t room = workspace.size();
  buffers.push_back(std::align(64, code.workspaceBytes, base, room));
  std::mt19937 random(seed);
  for (const KernelStep &kernelStep : code.steps) {
    std::vector<char> scratch(kernelStep.scratchBytes + 64);
    void *aligned = scratch.data();
    size_t space = scratch.size();
    const gradc_ctx ctx{std::align(64, kernelStep.scratchBytes, aligned, space)};
    std::vector<std::pair<int64_t, int64_t>> parts;
    for (int64_t begin = 0; begin < kernelStep.items;) {
      const int64_t end = std::min<int64_t>(kernelStep.items, begin + 1 + random() % kernelStep.items);
      parts.emplace_back(begin, end);
      begin = end;
    }
    std::ranges::shuffle(parts, random);
    for (auto [begin, end] : parts)
      jit.kernel(kernelStep.symbol)(&ctx, buffers.data(), begin, end);
  }
}

Result<Module> parseKernel(const std::string &text, Diagnostics &diag) {
  return parseModule(text, "test", diag);
}

struct Case {
  std::string op; // "conv2d(%p, %q) {padding = [2,2,2,2]}"
  std::string a, b, result;
  std::string algorithm = "direct";
};

class ContractKernel : public ::testing::Test {
protected:
  void check(const Case &c, const std::string &mcpu, RegisterTile tile, uint32_t seed) {
    SCOPED_TRACE(fmt::format("{} : {} {} -> {} on {}, tile {}x{}", c.op, c.a, c.b, c.result, mcpu, tile.rows,
                             tile.vectors));
    const std::string sizes = tile.rows ? fmt::format(", tile = [{}, {}]", tile.rows, tile.vectors) : "";
    const std::string schedule = fmt::format(", schedule = {{algorithm = {}{}}}", c.algorithm, sizes);
    const std::string text =
        fmt::format("func @f(%a: {0}, %b: {1}) -> {2} {{\n"
                    "  %y = kernel(%a, %b) {{kind = contract{4}}} {{ ^(%p: {0}, %q: {1}):\n"
                    "      %c = {3} : {2}\n      yield %c\n  }} : {2}\n  return %y\n}}\n",
                    c.a, c.b, c.result, c.op, schedule);
    Diagnostics diag;
    Result<Module> module = parseKernel(text, diag);
    ASSERT_TRUE(module.has_value()) << diag.render() << text;
    const Function &fn = *module->functions[0];
    const OpId kernel = fn.body().ops[0];
    const OpId contraction = findContraction(fn, fn[kernel].regions[0]);
    const Operation op{fn[contraction].def, fn.type(fn.body().args[0]), fn.type(fn.body().args[1]),
                       fn.type(fn[kernel].results[0]),
                       withDefaults(*fn[contraction].def, fn[contraction].attrs)};

    CpuTarget target = *parseCpuTarget(mcpu);
    if (l2Bytes)
      target.l2Bytes = l2Bytes;
    fusedClass = target.fma;
    KernelCode code;
    testing::KernelJit jit(target, [&](Emit &e) {
      KernelContext context{e, fn, kernel, "k"};
      code = emitContract(context);
    });
    const Floats a = randomFloats(op.a.elements(), seed), b = randomFloats(op.b.elements(), seed + 1);
    Buffer bufferA(op.a), bufferB(op.b), result(op.result);
    bufferA.set(a);
    bufferB.set(b);
    runSteps(jit, code, {bufferA.data(), bufferB.data(), result.data()}, seed);
    EXPECT_TRUE(result.marginsIntact());
    EXPECT_TRUE(result.paddingIsZero());
    const bool winograd = c.algorithm == "winograd", ofWeights = op.def->name == "conv2d_grad_weight";
    const Floats expected = winograd && ofWeights
                                ? referenceWinogradWeight(op, winogradOf(fn, contraction).tile,
                                                          winogradSegments(fn, contraction), a, b)
                            : winograd ? referenceWinograd(op, a, b)
                                       : reference(op, reductionOrder(fn, contraction), a, b);
    const Floats actual = result.get();
    int64_t wrong = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      if (std::bit_cast<uint32_t>(expected[i]) != std::bit_cast<uint32_t>(actual[i]) && ++wrong <= 3)
        ADD_FAILURE() << "element " << i << ": expected " << expected[i] << ", got " << actual[i];
    EXPECT_EQ(wrong, 0) << "of " << expected.size();
  }

  int64_t l2Bytes = 0; // of the processor, if it shall have another cache than it has

  void checkAll(const Case &c) {
    uint32_t seed = 1;
    for (const char *mcpu : {"native", "haswell", "x86-64"})
      check(c, mcpu, {0, 0}, seed++);
    check(c, "native", {3, 2}, seed++);
  }
};

std::string f32(const std::vector<int64_t> &dims, bool n16) {
  std::string text = "f32[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + (n16 ? "]<n16>" : "]");
}

TEST_F(ContractKernel, MatmulBatchLanes) {
  for (auto [n, k, m] :
       {std::array{64, 84, 10}, {16, 17, 33}, {48, 1, 5}, {80, 130, 7}, {60, 20, 11}, {3, 9, 5}}) {
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({n, k}, true), f32({m, k}, false), f32({n, m}, true)});
    checkAll({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)});
  }
}

TEST_F(ContractKernel, MatmulColumnLanes) {
  for (auto [m, k, n] : {std::array{10, 64, 84},
                         {33, 32, 16},
                         {1, 16, 7},
                         {40, 48, 130},
                         {10, 60, 84},
                         {5, 7, 20},
                         {6, 17, 9}}) {
    checkAll(
        {"matmul(%p, %q) {transpose_a = true}", f32({k, m}, true), f32({k, n}, false), f32({m, n}, false)});
    checkAll(
        {"matmul(%p, %q) {transpose_a = true}", f32({k, m}, false), f32({k, n}, false), f32({m, n}, false)});
    checkAll({"matmul(%p, %q)", f32({m, k}, false), f32({k, n}, false), f32({m, n}, false)});
  }
  checkAll(
      {"matmul(%p, %q)", f32({2, 3, 5, 7}, false), f32({2, 3, 7, 20}, false), f32({2, 3, 5, 20}, false)});
}

TEST_F(ContractKernel, MatmulPackedLanes) {
  for (auto [m, k, n] : {std::array{10, 64, 84}, {33, 37, 16}, {1, 5, 7}, {7, 48, 130}})
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({m, k}, false), f32({n, k}, false), f32({m, n}, false)});
  checkAll({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", f32({3, 9, 4}, false),
            f32({3, 18, 9}, false), f32({3, 4, 18}, false)});
}

/// One rhs for all leading indices of lhs.
TEST_F(ContractKernel, MatmulShared) {
  checkAll({"matmul(%p, %q)", f32({2, 3, 5, 7}, false), f32({7, 20}, false), f32({2, 3, 5, 20}, false)});
  checkAll({"matmul(%p, %q) {transpose_b = true}", f32({3, 5, 18}, false), f32({33, 18}, false),
            f32({3, 5, 33}, false)});
  check({"matmul(%p, %q)", f32({16, 2, 7}, true), f32({7, 5}, false), f32({16, 2, 5}, true)}, "native",
        {4, 2}, 1);
}

/// Operands beyond the caches: several blocks of rows, of columns and of the depth, none of them even.
TEST_F(ContractKernel, MatmulBlocked) {
  const std::string rows = f32({290, 900}, false), turned = f32({900, 290}, false), y = f32({290, 70}, false);
  uint32_t seed = 1;
  for (const char *mcpu : {"native", "haswell"})
    for (RegisterTile tile : {RegisterTile{6, 4}, {12, 2}, {3, 1}}) {
      check({"matmul(%p, %q)", rows, f32({900, 70}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_b = true}", rows, f32({70, 900}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_a = true}", turned, f32({900, 70}, false), y}, mcpu, tile, ++seed);
      check({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", turned, f32({70, 900}, false), y},
            mcpu, tile, ++seed);
    }
  // rows a page apart
  check({"matmul(%p, %q)", f32({300, 1024}, false), f32({1024, 70}, false), f32({300, 70}, false)}, "native",
        {6, 4}, 1);
  check({"matmul(%p, %q) {transpose_b = true}", f32({131, 2048}, false), f32({80, 2048}, false),
         f32({131, 80}, false)},
        "haswell", {5, 2}, 1);
  check({"matmul(%p, %q)", f32({10, 200, 128}, false), f32({128, 1100}, false), f32({10, 200, 1100}, false)},
        "native", {6, 4}, 1);
}

/// The same of layers: weight gradients from <n16> examples, some of them missing in the last block, blocks of
/// examples a page apart or not; forward and towards the input.
TEST_F(ContractKernel, LayersBlocked) {
  uint32_t seed = 1;
  for (const char *mcpu : {"native", "haswell"})
    for (RegisterTile tile : {RegisterTile{6, 4}, {12, 2}, {3, 1}})
      for (auto [n, units, inputs] : {std::array{907, 290, 70}, {1030, 320, 70}})
        check({"matmul(%p, %q) {transpose_a = true}", f32({n, units}, true), f32({n, inputs}, false),
               f32({units, inputs}, false)},
              mcpu, tile, ++seed);
  l2Bytes = 64 << 10;
  for (const char *mcpu : {"native", "haswell"})
    for (auto [n, inputs, units] : {std::array{40, 300, 200}, {150, 260, 130}, {16, 1024, 64}}) {
      const std::string x = f32({n, inputs}, true), y = f32({n, units}, true);
      check({"matmul(%p, %q) {transpose_b = true}", x, f32({units, inputs}, false), y}, mcpu, {0, 0}, ++seed);
      check({"matmul(%p, %q)", x, f32({inputs, units}, false), y}, mcpu, {0, 0}, ++seed);
    }
}

TEST_F(ContractKernel, MatmulDotLanes) {
  for (auto [m, k, n] :
       {std::array{1, 784, 33}, {1, 84, 10}, {3, 37, 16}, {8, 50, 7}, {2, 32, 1}, {5, 400, 40}})
    checkAll(
        {"matmul(%p, %q) {transpose_b = true}", f32({m, k}, false), f32({n, k}, false), f32({m, n}, false)});
}

TEST_F(ContractKernel, MatmulExampleLanes) {
  checkAll({"matmul(%p, %q)", f32({32, 3, 5, 7}, true), f32({32, 3, 7, 6}, true), f32({32, 3, 5, 6}, true)});
  checkAll({"matmul(%p, %q) {transpose_a = true, transpose_b = true}", f32({16, 7, 5}, true),
            f32({16, 9, 7}, true), f32({16, 5, 9}, true)});
  checkAll({"matmul(%p, %q)", f32({21, 5, 7}, true), f32({21, 7, 6}, true), f32({21, 5, 6}, true)});
}

/// A schedule may come from a file that somebody edited.
TEST_F(ContractKernel, TilesOfAnySize) {
  const Case c{"matmul(%p, %q) {transpose_b = true}", f32({32, 9}, true), f32({40, 9}, false),
               f32({32, 40}, true)};
  for (RegisterTile tile : {RegisterTile{1, 1}, {32, 2}, {33, 1}, {-1, 4}, {4, 17}})
    check(c, "native", tile, 1);
}

struct ConvCase {
  int64_t n, channels, height, width, filters, kh, kw;
  std::vector<int64_t> stride = {1, 1}, padding = {0, 0, 0, 0}, dilation = {1, 1};
  int64_t groups = 1;
};

const ConvCase kConvCases[] = {
    {64, 1, 28, 28, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // LeNet-5, first
    {32, 6, 14, 14, 16, 5, 5},                      // LeNet-5, second
    {16, 3, 9, 7, 5, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 4, 8, 9, 6, 3, 2, {2, 2}, {1, 0, 0, 1}},
    {32, 2, 11, 11, 3, 3, 3, {3, 2}, {2, 2, 2, 2}},
    {16, 6, 10, 10, 4, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}, 2}, // dilated, grouped
    {16, 4, 7, 6, 8, 1, 1},                                    // 1×1
    {16, 8, 5, 5, 8, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 8},   // depthwise
    {16, 2, 4, 4, 3, 3, 3, {1, 1}, {3, 3, 3, 3}},              // rows and columns of padding only
    {16, 2, 1, 40, 2, 1, 9, {1, 4}, {0, 0, 4, 4}},
    {16, 3, 6, 6, 2, 2, 2, {1, 1}, {0, 0, 0, 0}, {3, 3}},
    {16, 2, 5, 5, 3, 1, 1, {2, 2}, {1, 1, 1, 1}}, // strided 1×1: elements without a tap
    {16, 1, 4, 3, 20, 3, 3, {1, 1}, {1, 1, 1, 1}},
    // Enough channels for packed weights and packed rows of the operand, forward or backward or both.
    {32, 24, 7, 5, 26, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 64, 5, 4, 22, 3, 3, {1, 1}, {1, 0, 0, 1}},            // pixels of a page
    {16, 24, 9, 8, 23, 3, 3, {2, 2}, {1, 1, 1, 1}},            // phases
    {16, 22, 7, 8, 24, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}},    // dilated
    {16, 44, 5, 5, 46, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2}, // grouped
    {16, 64, 3, 4, 70, 1, 1},                                  // 1×1
    {16, 70, 5, 5, 64, 1, 1, {2, 2}},                          // 1×1, phases without a tap
    {16, 13, 6, 6, 14, 5, 5, {3, 2}, {2, 2, 2, 2}},
    {60, 1, 12, 12, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // the last block is not full
    {1, 3, 6, 5, 4, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {17, 4, 5, 5, 6, 1, 1},
    {31, 4, 6, 6, 4, 3, 2, {2, 2}, {1, 0, 0, 1}, {1, 1}, 2},
    {32, 2, 15, 14, 5, 3, 3, {1, 1}, {1, 1, 1, 1}}, // weight gradient kernel row by kernel row
};

struct ConvTexts {
  std::string attrs, kernel, input, x, w, y;
};

ConvTexts texts(const ConvCase &c, bool n16) {
  auto list = [](const std::vector<int64_t> &values) {
    std::string text;
    for (int64_t value : values)
      text += (text.empty() ? "" : ", ") + std::to_string(value);
    return "[" + text + "]";
  };
  auto out = [&](int axis, int64_t in, int64_t kernel) {
    const int64_t padded = in + c.padding[2 * axis] + c.padding[2 * axis + 1];
    return (padded - (kernel - 1) * c.dilation[axis] - 1) / c.stride[axis] + 1;
  };
  ConvTexts t;
  t.attrs = fmt::format("stride = {}, padding = {}, dilation = {}, groups = {}", list(c.stride),
                        list(c.padding), list(c.dilation), c.groups);
  t.kernel = fmt::format("kernel = [{}, {}], ", c.kh, c.kw);
  t.input = fmt::format("input = [{}, {}], ", c.height, c.width);
  t.x = f32({c.n, c.channels, c.height, c.width}, n16);
  t.w = f32({c.filters, c.channels / c.groups, c.kh, c.kw}, false);
  t.y = f32({c.n, c.filters, out(0, c.height, c.kh), out(1, c.width, c.kw)}, n16);
  return t;
}

TEST_F(ContractKernel, Conv) {
  for (const ConvCase &c : kConvCases) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d(%p, %q) {" + t.attrs + "}", t.x, t.w, t.y});
  }
}

TEST_F(ContractKernel, ConvGradInput) {
  for (const ConvCase &c : kConvCases) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d_grad_input(%p, %q) {" + t.input + t.attrs + "}", t.y, t.w, t.x});
  }
}

TEST_F(ContractKernel, ConvGradWeight) {
  for (const ConvCase &c : kConvCases) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w});
  }
}

/// Items of several tiles of channels: what is read of the input serves all of them.
TEST_F(ContractKernel, ConvGradWeightOfLargeImages) {
  l2Bytes = 64 << 10;
  for (const ConvCase &c :
       {ConvCase{16, 3, 9, 160, 70, 5, 5, {2, 2}, {2, 1, 2, 0}}, ConvCase{32, 10, 16, 14, 90, 1, 1, {2, 2}},
        ConvCase{16, 4, 9, 160, 44, 5, 5, {2, 2}, {2, 1, 2, 0}, {1, 1}, 2}}) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w});
  }
}

const ConvCase kWinogradCases[] = {
    {16, 5, 8, 8, 7, 3, 3, {1, 1}, {1, 1, 1, 1}},    // whole tiles
    {32, 3, 13, 7, 18, 3, 3, {1, 1}, {1, 1, 1, 1}},  // no multiple of 4, several panels
    {48, 20, 9, 14, 33, 3, 3, {1, 1}, {0, 0, 0, 0}}, // no padding
    {16, 2, 3, 5, 3, 3, 3, {1, 1}, {1, 0, 2, 1}},    // smaller than a tile, lopsided
    {16, 1, 1, 1, 1, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 3, 6, 11, 4, 3, 3, {1, 1}, {4, 3, 5, 4}}, // tiles of padding only
    {16, 300, 6, 9, 40, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {19, 3, 6, 7, 18, 3, 3, {1, 1}, {1, 1, 1, 1}}, // the last block is not full
    {16, 5, 8, 8, 7, 5, 5, {1, 1}, {2, 2, 2, 2}},  // 5×5
    {32, 3, 13, 7, 18, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {48, 20, 9, 14, 33, 5, 5, {1, 1}, {0, 0, 0, 0}},
    {16, 2, 5, 7, 3, 5, 5, {1, 1}, {0, 0, 2, 1}},
    {16, 1, 1, 1, 1, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {16, 3, 6, 11, 4, 5, 5, {1, 1}, {6, 5, 7, 6}},
    {19, 70, 6, 9, 40, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {19, 3, 23, 26, 18, 5, 5, {1, 1}, {2, 2, 2, 2}}, // towards the weights in tiles of 4×4
    {16, 9, 32, 17, 35, 5, 5, {1, 1}, {0, 4, 3, 4}},
    {16, 3, 9, 10, 18, 4, 4, {1, 1}, {1, 2, 2, 1}}, // 4×4, 2×2
    {19, 5, 7, 12, 9, 2, 2, {1, 1}, {0, 1, 1, 0}},
};

TEST_F(ContractKernel, WinogradConv) {
  for (const ConvCase &c : kWinogradCases) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d(%p, %q) {" + t.attrs + "}", t.x, t.w, t.y, "winograd"});
  }
}

TEST_F(ContractKernel, WinogradGradInput) {
  for (const ConvCase &c : kWinogradCases) {
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d_grad_input(%p, %q) {" + t.input + t.attrs + "}", t.y, t.w, t.x, "winograd"});
  }
}

TEST_F(ContractKernel, WinogradGradWeight) {
  for (const ConvCase &c : kWinogradCases) {
    if (c.channels > 100) // the reference takes long, and depth is no special case
      continue;
    const ConvTexts t = texts(c, true);
    checkAll({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w, "winograd"});
  }
}

/// Segments of the tiles, slabs in a worker's memory and in the workspace, parts of the channels; all tiles in one slab.
TEST_F(ContractKernel, WinogradGradWeightInSlabs) {
  const ConvCase segments{48, 5, 18, 22, 35, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase oneSegment{16, 5, 14, 18, 35, 3, 3, {1, 1}, {1, 1, 1, 1}};
  for (const auto &[c, bytes] : {std::pair{segments, 32 << 10},
                                 {segments, 448 << 10},
                                 {segments, 1 << 20},
                                 {oneSegment, 32 << 10},
                                 {oneSegment, 256 << 10}}) {
    const ConvTexts t = texts(c, true);
    l2Bytes = bytes;
    checkAll({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w, "winograd"});
  }
}

/// The error that docs/kernels.md states, against sums in double. The reference's bits are the kernels'.
TEST(WinogradError, IsAsStated) {
  fusedClass = true;
  for (const int64_t size : {2, 3, 4, 5})
    for (const int64_t channels : {16, 64, 256, 512}) {
      const int64_t extent = 12, result = 13 - size, taps = size * size;
      const Shape in{1, channels, extent, extent}, out{1, 2, result, result};
      const Floats x = randomFloats(in.elements(), 1), w = randomFloats(2 * channels * taps, 2);
      const Floats y = referenceWinograd(in, out, 0, 0, size, x, [&](int64_t o, int64_t c) {
        const auto first = w.begin() + (o * channels + c) * taps;
        return Floats(first, first + taps);
      });
      double worst = 0;
      for (int64_t i = 0; i < out.elements(); ++i) {
        const int64_t o = i / (result * result), h = i / result % result, v = i % result;
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < channels * taps; ++k) {
          const int64_t row = h + k / size % size, column = v + k % size;
          const double term =
              double(w[o * channels * taps + k]) * x[(k / taps * extent + row) * extent + column];
          sum += term;
          magnitude += std::abs(term);
        }
        worst = std::max(worst, std::abs(y[i] - sum) / magnitude);
      }
      EXPECT_LE(worst, 5e-7) << size << "×" << size << ", " << channels << " channels";
    }
}

/// The largest error of a gradient of weights of maps with that extent, of the sum of the products' magnitudes.
double worstTowardsWeights(int64_t size, int64_t tile, int64_t examples, int64_t extent, int64_t segments,
                           bool rectified) {
  const int64_t taps = size * size;
  Operation op{nullptr, {}, {}, {}, {}};
  op.a.shape = Shape{examples, 2, extent, extent};
  op.b.shape = Shape{examples, 3, extent, extent};
  op.result.shape = Shape{3, 2, size, size};
  op.attrs.set("padding", std::vector<int64_t>(4, size / 2));
  Floats x = randomFloats(op.a.elements(), 1), dy = randomFloats(op.b.elements(), 2);
  for (float &value : x)
    value = rectified ? std::max(value, 0.f) : value;
  const Floats dw = referenceWinogradWeight(op, tile, segments, x, dy);
  double worst = 0;
  for (int64_t i = 0; i < op.result.elements(); ++i) {
    const int64_t o = i / taps / 2, c = i / taps % 2;
    double sum = 0, magnitude = 0;
    for (int64_t place = 0; place < examples * extent * extent; ++place) {
      const int64_t n = place / extent / extent, h = place / extent % extent, v = place % extent;
      const int64_t row = h + i / size % size - size / 2, column = v + i % size - size / 2;
      if (row < 0 || column < 0 || row >= extent || column >= extent)
        continue;
      const double term = double(dy[((n * 3 + o) * extent + h) * extent + v]) *
                          x[((n * 2 + c) * extent + row) * extent + column];
      sum += term;
      magnitude += std::abs(term);
    }
    worst = std::max(worst, std::abs(dw[i] - sum) / magnitude);
  }
  return worst;
}

/// The maps of CIFAR VGG, AlexNet and ResNet-18.
TEST(WinogradError, TowardsWeightsIsAsStated) {
  fusedClass = true;
  for (const bool rectified : {false, true}) {
    EXPECT_LE(worstTowardsWeights(3, 4, 64, 32, 8, rectified), 1e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 64, 16, 4, rectified), 1e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 16, 13, 1, rectified), 2.5e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 32, 8, 1, rectified), 2.5e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 1, 8, 1, rectified), 5.6e-7);
    EXPECT_LE(worstTowardsWeights(5, 2, 1, 27, 8, rectified), 5e-7);
    EXPECT_LE(worstTowardsWeights(5, 4, 16, 27, 16, rectified), 5e-7);
  }
}

const ConvCase kPixelCases[] = {
    {1, 1, 28, 28, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // LeNet-5, first: vectors run over the ends of rows
    {2, 6, 14, 14, 16, 5, 5},                      // LeNet-5, second: a vector is a row
    {3, 3, 9, 7, 5, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {4, 4, 8, 37, 6, 3, 2, {1, 1}, {1, 0, 0, 0}},             // several vectors a row
    {1, 4, 8, 9, 6, 3, 2, {2, 2}, {1, 0, 0, 1}},              // strided: gathers, phases
    {5, 2, 11, 41, 3, 3, 3, {3, 2}, {2, 2, 2, 2}},            //
    {2, 6, 10, 10, 4, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}, 2}, // dilated, grouped
    {1, 4, 7, 6, 8, 1, 1},                                    // 1×1
    {2, 8, 5, 5, 8, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 8},   // depthwise
    {1, 2, 4, 4, 3, 3, 3, {1, 1}, {3, 3, 3, 3}},              // rows and columns of padding only
    {2, 2, 1, 40, 2, 1, 9, {1, 4}, {0, 0, 4, 4}},
    {1, 3, 6, 6, 2, 2, 2, {1, 1}, {0, 0, 0, 0}, {3, 3}},
    {1, 2, 5, 5, 3, 1, 1, {2, 2}, {1, 1, 1, 1}}, // strided 1×1: elements without a tap
    {16, 1, 4, 3, 20, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {1, 5, 1, 1, 3, 1, 1},
    {1, 2, 6, 5, 3, 3, 3, {1, 1}, {0, 2, 1, 1}}, // as wide, not as high
};

TEST_F(ContractKernel, ConvPixels) {
  for (const ConvCase &c : kPixelCases) {
    const ConvTexts t = texts(c, false);
    checkAll({"conv2d(%p, %q) {" + t.attrs + "}", t.x, t.w, t.y});
  }
}

TEST_F(ContractKernel, ConvPixelsGradInput) {
  for (const ConvCase &c : kPixelCases) {
    const ConvTexts t = texts(c, false);
    checkAll({"conv2d_grad_input(%p, %q) {" + t.input + t.attrs + "}", t.y, t.w, t.x});
  }
}

/// Batches that fill no block, one, and a part of the next.
TEST_F(ContractKernel, EveryBatch) {
  for (int64_t n = 1; n <= 17; ++n) {
    ConvCase c{n, 2, 6, 5, 3, 3, 3, {1, 1}, {1, 1, 1, 1}};
    for (bool n16 : {true, false}) {
      const ConvTexts t = texts(c, n16);
      check({"conv2d(%p, %q) {" + t.attrs + "}", t.x, t.w, t.y}, "native", {0, 0}, 1);
      check({"conv2d_grad_input(%p, %q) {" + t.input + t.attrs + "}", t.y, t.w, t.x}, "native", {0, 0}, 2);
      check({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w}, "native", {0, 0}, 3);
    }
    check(
        {"matmul(%p, %q) {transpose_b = true}", f32({n, 40}, n > 8), f32({5, 40}, false), f32({n, 5}, n > 8)},
        "native", {0, 0}, 4);
    check(
        {"matmul(%p, %q) {transpose_a = true}", f32({n, 5}, true), f32({n, 20}, false), f32({5, 20}, false)},
        "native", {0, 0}, 5);
  }
}

/// What does not fit the cache is cut: products into strips, images into blocks and bands.
TEST_F(ContractKernel, SmallCaches) {
  uint32_t seed = 1;
  for (int64_t bytes : {4 << 10, 32 << 10}) {
    l2Bytes = bytes;
    for (auto [n, k, m] : {std::array{64, 84, 90}, {16, 1024, 33}, {32, 600, 70}}) {
      check({"matmul(%p, %q) {transpose_b = true}", f32({n, k}, true), f32({m, k}, false), f32({n, m}, true)},
            "native", {0, 0}, seed++);
      check({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)}, "native", {0, 0},
            seed++);
      check({"matmul(%p, %q)", f32({n, k}, true), f32({k, m}, false), f32({n, m}, true)}, "haswell", {0, 0},
            seed++);
    }
  }
  l2Bytes = 4 << 10;
  for (const ConvCase &c : kConvCases) {
    const ConvTexts t = texts(c, true);
    check({"conv2d(%p, %q) {" + t.attrs + "}", t.x, t.w, t.y}, "native", {0, 0}, seed++);
    check({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w}, "native", {0, 0},
          seed++);
  }
}

/// Other layouts take the generic path, in the same order of operations.
TEST_F(ContractKernel, Generic) {
  for (ConvCase c :
       {ConvCase{3, 2, 5, 6, 3, 3, 3, {1, 1}, {1, 1, 1, 1}}, ConvCase{16, 2, 4, 4, 2, 2, 2, {2, 2}},
        ConvCase{19, 2, 4, 4, 2, 2, 2}, ConvCase{5, 4, 6, 7, 6, 3, 2, {2, 1}, {2, 1, 0, 1}, {1, 2}, 2}}) {
    const ConvTexts t = texts(c, false), lanes = texts(c, true);
    check({"conv2d(%p, %q) {" + t.attrs + "}", lanes.x, t.w, t.y}, "native", {0, 0}, 1);
    check({"conv2d_grad_input(%p, %q) {" + t.input + t.attrs + "}", lanes.y, t.w, t.x}, "native", {0, 0}, 2);
    check({"conv2d_grad_weight(%p, %q) {" + t.kernel + t.attrs + "}", t.x, t.y, t.w}, "native", {0, 0}, 3);
  }
  check({"matmul(%p, %q) {transpose_b = true}", f32({5, 37}, true), f32({7, 37}, false), f32({5, 7}, true)},
        "native", {0, 0}, 5);
  check({"matmul(%p, %q)", f32({32, 5}, true), f32({5, 7}, false), f32({32, 7}, false)}, "native", {0, 0}, 4);
}

/// Bias and relu on a matmul, two results, one of them over its operand.
TEST_F(ContractKernel, EpilogueInPlace) {
  const char *text = R"(
func @f(%x: f32[32,9], %dy: f32[32,5]<n16>, %w: f32[5,9], %v: f32[5,9], %lr: f32[]) -> (f32[5,9], f32[5,9]) {
  %a, %b = kernel(%x, %dy, %w, %v, %lr) {kind = contract} {
    ^(%p: f32[32,9], %q: f32[32,5]<n16>, %r: f32[5,9], %s: f32[5,9], %l: f32[]):
      %g = matmul(%q, %p) {transpose_a = true} : f32[5,9]
      %t = add(%s, %g) : f32[5,9]
      %m = broadcast(%l) {axes = [], shape = [5,9]} : f32[5,9]
      %u = mul(%m, %t) : f32[5,9]
      %o = sub(%r, %u) : f32[5,9]
      yield %o, %t
  } : f32[5,9], f32[5,9]
  return %a, %b
})";
  Diagnostics diag;
  Result<Module> module = parseKernel(text, diag);
  ASSERT_TRUE(module.has_value()) << diag.render();
  const Function &fn = *module->functions[0];
  KernelCode code;
  testing::KernelJit jit(hostCpuTarget(), [&](Emit &e) {
    KernelContext context{e, fn, fn.body().ops[0], "k"};
    code = emitContract(context);
  });
  std::vector<Buffer> buffers;
  std::vector<Floats> values;
  for (ValueId arg : fn.body().args) {
    values.push_back(randomFloats(fn.type(arg).elements(), static_cast<uint32_t>(buffers.size())));
    buffers.emplace_back(fn.type(arg));
    buffers.back().set(values.back());
  }
  std::vector<void *> pointers;
  for (Buffer &buffer : buffers)
    pointers.push_back(buffer.data());
  pointers.push_back(buffers[2].data()); // w' over w
  pointers.push_back(buffers[3].data()); // v' over v
  runSteps(jit, code, pointers, 7);
  const Floats w = buffers[2].get(), v = buffers[3].get();
  for (int64_t u = 0; u < 5; ++u)
    for (int64_t i = 0; i < 9; ++i) {
      float gradient = 0;
      for (int64_t n = 0; n < 32; ++n)
        gradient = std::fmaf(values[1][n * 5 + u], values[0][n * 9 + i], gradient);
      const float momentum = values[3][u * 9 + i] + gradient;
      const volatile float change = values[4][0] * momentum;
      EXPECT_EQ(v[u * 9 + i], momentum);
      EXPECT_EQ(w[u * 9 + i], values[2][u * 9 + i] - change);
    }
}

} // namespace
} // namespace gradc
