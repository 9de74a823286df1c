#include "tests/support/contract_reference.h"

#include <cmath>
#include <random>

#include "ir/layout.h"

namespace gradc::testing::contract {

namespace {

Floats referenceMatmul(const Operation &op, const ReductionOrder &order, const Floats &a, const Floats &b) {
  const int rank = op.result.rank();
  const bool ta = op.attrs.flag("transpose_a"), tb = op.attrs.flag("transpose_b");
  const int64_t rows = op.result.shape[rank - 2], columns = op.result.shape[rank - 1];
  const int64_t depth = op.a.shape[ta ? rank - 2 : rank - 1];
  Floats result(op.result.elements());
  for (int64_t i = 0; i < op.result.elements(); ++i) {
    const int64_t n = i % columns, m = i / columns % rows, batch = i / (rows * columns);
    const int64_t batchB = op.b.rank() == 2 ? 0 : batch;
    Floats partial(order.lanes * order.split, 0); // lanes or segments
    for (int64_t k = 0; k < depth; ++k) {
      float &sum = partial[order.split > 1 ? k / (depth / order.split) : k % order.lanes];
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

/// What one weight gets from the pixels of an image, by the algorithm `pixels`; position q belongs to lane q % 16.
void addPixels(const Conv &c, const Floats &x, const Floats &dy, int64_t xPlane, int64_t yPlane, int64_t kh,
               int64_t kw, int64_t pitch, int64_t firstPosition, Floats &partial) {
  for (int64_t oh = 0; oh < c.y[2]; ++oh)
    for (int64_t ow = 0; ow < c.y[3]; ++ow)
      if (const int64_t h = c.in(0, oh, kh), v = c.in(1, ow, kw); h >= 0 && v >= 0) {
        float &sum = partial[(firstPosition + oh * pitch + ow) % kLanes];
        sum = step(dy[yPlane + oh * c.y[3] + ow], x[xPlane + h * c.x[3] + v], sum);
      }
}

} // namespace

Floats referencePixels(const Operation &op, const Floats &x, const Floats &dy) {
  const Conv c = convOf(op, op.a.shape, op.result.shape, op.b.shape);
  auto strides = [&](int64_t tap) { // in which tap lies right of pixel 0
    return static_cast<int64_t>(std::floor(static_cast<double>(tap * c.dilation[1] - c.padding[2]) /
                                           static_cast<double>(c.stride[1])));
  };
  const int64_t pitch = c.y[3] + strides(c.w[3] - 1) - strides(0);
  const int64_t image =
      c.w[2] * c.w[3] == 1 ? c.y[2] * c.y[3] : 0; // of a 1×1 kernel images follow each other
  const int64_t perGroup = c.w[1], filters = c.w[0] / c.groups;
  Floats dw(c.w.elements());
  for (int64_t o = 0; o < c.w[0]; ++o)
    for (int64_t i = 0; i < perGroup; ++i)
      for (int64_t kh = 0; kh < c.w[2]; ++kh)
        for (int64_t kw = 0; kw < c.w[3]; ++kw) {
          Floats partial(kLanes, 0);
          for (int64_t n = 0; n < c.x[0]; ++n)
            addPixels(c, x, dy, c.xAt(n, o / filters * perGroup + i, 0, 0), c.yAt(n, o, 0, 0), kh, kw, pitch,
                      n * image, partial);
          dw[c.wAt(o, i, kh, kw)] = tree(partial);
        }
  return dw;
}

float tree(Floats values) {
  for (size_t half = values.size() / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i)
      values[i] += values[i + half];
  return values[0];
}

Floats randomFloats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
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

} // namespace gradc::testing::contract
