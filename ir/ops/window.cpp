// Reductions of sliding windows over images [N, C, H, W] and their gradients. Taps in the padding are absent:
// they are neither zero nor minus infinity, they do not take part. Padding is smaller than the window, so every
// window has a tap.
#include <cmath>
#include <limits>

#include "ir/spatial.h"

namespace gradc::ops {
namespace {

std::vector<AttrSpec> attrsWith(std::vector<AttrSpec> first) {
  for (AttrSpec &spec : slidingAttrs(false))
    first.push_back(spec);
  return first;
}

const AttrSpec kWindowAttr = sizeAttr("window", "height, width of the window");
const AttrSpec kInputAttr = sizeAttr("input", "height, width of the images");

Rule<Window> windowOf(const Dict &attrs, std::array<int64_t, 2> input) {
  GRADC_REFUSE(notOfLength("window", attrs.ints("window"), 2, "height, width"));
  Rule<Window> window = slidingWindow(attrs, input, pairOf(attrs.ints("window")));
  for (int dim : {0, 1})
    if (window && std::max(window->padLow[dim], window->padHigh[dim]) >= window->kernel[dim])
      return refuse("padding must be smaller than the window but in {} they are {} and {}",
                    dim ? "width" : "height", std::max(window->padLow[dim], window->padHigh[dim]),
                    window->kernel[dim]);
  return window;
}

Shape withPlane(const Shape &shape, std::array<int64_t, 2> plane) {
  return {shape[0], shape[1], plane[0], plane[1]};
}

Problem notImages(std::string_view name, const Type &type) {
  if (Problem problem = notFloat(name, type))
    return problem;
  return notOfRank(name, type, 4);
}

Problem notResult(const Type &dy, const Shape &result) {
  if (dy.shape == result)
    return std::nullopt;
  return fmt::format("dy is {} but the windows give {}", toString(dy), toString(result));
}

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  GRADC_REFUSE(notImages("x", x));
  Rule<Window> window = windowOf(args.attrs, planeOf(x.shape));
  if (!window)
    return std::unexpected(window.error());
  return oneType(x.dtype, withPlane(x.shape, window->output));
}

Rule<Types> maxGradInfer(const InferArgs &args) {
  const Type &x = args.operands[0], &dy = args.operands[1];
  GRADC_REFUSE(notSameDType("x", x, "dy", dy));
  Rule<Types> y = infer(args);
  if (!y)
    return y;
  GRADC_REFUSE(notResult(dy, (*y)[0].shape));
  return oneType(x.dtype, x.shape);
}

Rule<Types> sumGradInfer(const InferArgs &args) {
  const Type &dy = args.operands[0];
  GRADC_REFUSE(notImages("dy", dy));
  GRADC_REFUSE(notOfLength("input", args.attrs.ints("input"), 2, "height, width"));
  std::array<int64_t, 2> input = pairOf(args.attrs.ints("input"));
  Rule<Window> window = windowOf(args.attrs, input);
  if (!window)
    return std::unexpected(window.error());
  GRADC_REFUSE(notResult(dy, withPlane(dy.shape, window->output)));
  return oneType(dy.dtype, withPlane(dy.shape, input));
}

/// f(x, y): linear indices of every tap and of its window, windows in order and taps in order within one.
template <class F> void forEachTap(const Window &win, const Shape &y, F &&f) {
  forEachIndex(y, [&](std::span<const int64_t> at, int64_t yAt) {
    for (int64_t kh = 0; kh < win.kernel[0]; ++kh)
      for (int64_t kw = 0; kw < win.kernel[1]; ++kw) {
        const int64_t h = win.at(0, at[2], kh), w = win.at(1, at[3], kw);
        if (h >= 0 && h < win.input[0] && w >= 0 && w < win.input[1])
          f(((at[0] * y[1] + at[1]) * win.input[0] + h) * win.input[1] + w, yAt);
      }
  });
}

/// For each window the linear index of its largest tap: the first of equals, or the first NaN.
std::vector<int64_t> largestTaps(const Window &win, const Shape &y, const std::vector<double> &x) {
  std::vector<int64_t> largest(y.elements(), -1);
  forEachTap(win, y, [&](int64_t from, int64_t to) {
    int64_t &best = largest[to];
    if (best < 0 || (!std::isnan(x[best]) && (x[from] > x[best] || std::isnan(x[from]))))
      best = from;
  });
  return largest;
}

void maxEval(const EvalArgs &args) {
  Tensor &y = args.results[0];
  Window win = *windowOf(args.attrs, planeOf(args.operands[0]->type().shape));
  std::vector<int64_t> largest = largestTaps(win, y.type().shape, toDoubles(*args.operands[0]));
  for (size_t i = 0; i < largest.size(); ++i)
    copyElement(y, i, *args.operands[0], largest[i]);
}

void maxGradEval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  std::vector<double> dy = toDoubles(*args.operands[1]), sums(x.elements());
  Window win = *windowOf(args.attrs, planeOf(x.type().shape));
  std::vector<int64_t> largest = largestTaps(win, args.operands[1]->type().shape, toDoubles(x));
  for (size_t i = 0; i < largest.size(); ++i)
    sums[largest[i]] += dy[i];
  fromDoubles(args.results[0], sums);
}

void sumEval(const EvalArgs &args) {
  Window win = *windowOf(args.attrs, planeOf(args.operands[0]->type().shape));
  std::vector<double> x = toDoubles(*args.operands[0]), sums(args.results[0].elements());
  forEachTap(win, args.results[0].type().shape, [&](int64_t from, int64_t to) { sums[to] += x[from]; });
  fromDoubles(args.results[0], sums);
}

void sumGradEval(const EvalArgs &args) {
  Window win = *windowOf(args.attrs, pairOf(args.attrs.ints("input")));
  std::vector<double> dy = toDoubles(*args.operands[0]), sums(args.results[0].elements());
  forEachTap(win, args.operands[0]->type().shape, [&](int64_t to, int64_t from) { sums[to] += dy[from]; });
  fromDoubles(args.results[0], sums);
}

Dict windowDict(const Dict &attrs) {
  Dict dict;
  for (std::string_view name : {"window", "stride", "padding"})
    dict.set(name, *attrs.find(name));
  return dict;
}

void maxGrad(GradArgs &g) { g.to(0, g.b.create("window_max_grad", {g.x(0), g.dy()}, windowDict(g.attrs()))); }

/// Element [n, c, i, j] of the result is what tap (kh, kw) of window (i, j) reads from `padded`.
ValueId tapPlane(Builder &b, ValueId padded, const Window &win, int64_t kh, int64_t kw) {
  const Shape shape = b.type(padded).shape;
  auto limit = [&](int dim, int64_t k) { return k + (win.output[dim] - 1) * win.stride[dim] + 1; };
  return b.create("slice", {padded},
                  {{"start", std::vector<int64_t>{0, 0, kh, kw}},
                   {"limit", std::vector<int64_t>{shape[0], shape[1], limit(0, kh), limit(1, kw)}},
                   {"stride", std::vector<int64_t>{1, 1, win.stride[0], win.stride[1]}}});
}

ValueId padded(Builder &b, ValueId x, const Window &win, double value) {
  return b.create("pad", {x},
                  {{"low", std::vector<int64_t>{0, 0, win.padLow[0], win.padLow[1]}},
                   {"high", std::vector<int64_t>{0, 0, win.padHigh[0], win.padHigh[1]}},
                   {"value", value}});
}

// For dy the op is linear: its adjoint picks, for each window, the element at x's largest tap. Constant in x
// wherever it has a derivative. Second derivatives only, so plain: one comparison per tap, the first one wins.
void maxGradGrad(GradArgs &g) {
  if (!g.wants(1))
    return;
  Window win = *windowOf(g.attrs(), planeOf(g.type(g.x(0)).shape));
  ValueId x = padded(g.b, g.x(0), win, -std::numeric_limits<double>::infinity()),
          from = padded(g.b, g.dy(), win, 0);
  ValueId best = kNoValue, picked = kNoValue;
  for (int64_t kh = 0; kh < win.kernel[0]; ++kh)
    for (int64_t kw = 0; kw < win.kernel[1]; ++kw) {
      ValueId tap = tapPlane(g.b, x, win, kh, kw), value = tapPlane(g.b, from, win, kh, kw);
      if (best != kNoValue) {
        ValueId better = g.b.create("gt", {tap, best});
        tap = g.b.select(better, tap, best);
        value = g.b.select(better, value, picked);
      }
      best = tap;
      picked = value;
    }
  g.to(1, picked);
}

void sumGrad(GradArgs &g) {
  const Shape x = g.type(g.x(0)).shape;
  Dict attrs = windowDict(g.attrs());
  attrs.set("input", std::vector<int64_t>{x[2], x[3]});
  g.to(0, g.b.create("window_sum_grad", {g.dy()}, attrs));
}

void sumGradGrad(GradArgs &g) { g.to(0, g.b.create("window_sum", {g.dy()}, windowDict(g.attrs()))); }

} // namespace
} // namespace gradc::ops

GRADC_OPS(window) {
  static const OpDef rows[] = {
      {.name = "window_max",
       .doc = "maximum of each window; NaN if any tap is; the gradient goes to the first of equals",
       .operands = {{"x"}},
       .attrs = attrsWith({kWindowAttr}),
       .traits = kWindow,
       .infer = ops::infer,
       .eval = maxEval,
       .grad = maxGrad},
      {.name = "window_max_grad",
       .doc = "adds each element of dy to the place in x of its window's first largest tap",
       .operands = {{"x"}, {"dy"}},
       .attrs = attrsWith({kWindowAttr}),
       .traits = kWindow,
       .infer = maxGradInfer,
       .eval = maxGradEval,
       .grad = maxGradGrad},
      {.name = "window_sum",
       .doc = "sum of each window",
       .operands = {{"x"}},
       .attrs = attrsWith({kWindowAttr}),
       .traits = kWindow,
       .infer = ops::infer,
       .eval = sumEval,
       .grad = sumGrad},
      {.name = "window_sum_grad",
       .doc = "adds each element of dy to all places of its window",
       .operands = {{"dy"}},
       .attrs = attrsWith({kInputAttr, kWindowAttr}),
       .traits = kWindow,
       .infer = sumGradInfer,
       .eval = sumGradEval,
       .grad = sumGradGrad},
  };
  return rows;
}
