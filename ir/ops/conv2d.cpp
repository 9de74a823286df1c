// Convolution (cross-correlation, as in every framework) and its two gradients. All three are bilinear in the
// same sum over (n, group, filter, channel, window, tap) of x·w·y, each solving for one of the factors, so each
// one's gradients are the other two: derivatives of any order are exact.
#include "ir/spatial.h"

namespace gradc::ops {
namespace {

struct Conv {
  Window window;
  int64_t batch, channels, filters, groups;
  Shape x() const { return {batch, channels, window.input[0], window.input[1]}; }
  Shape w() const { return {filters, channels / groups, window.kernel[0], window.kernel[1]}; }
  Shape y() const { return {batch, filters, window.output[0], window.output[1]}; }
};

Problem notFourD(std::string_view nameA, const Type &a, std::string_view nameB, const Type &b) {
  for (auto [name, type] : {std::pair{nameA, &a}, std::pair{nameB, &b}}) {
    if (Problem problem = notFactor(name, *type))
      return problem;
    if (Problem problem = notOfRank(name, *type, 4))
      return problem;
  }
  return notSameDType(nameA, a, nameB, b);
}

/// `channels` are x's, `perGroup` what each filter sees.
Problem notGrouped(int64_t channels, int64_t perGroup, int64_t filters, int64_t groups) {
  if (channels != perGroup * groups)
    return fmt::format("x has {} channels but w has {} in each of {} group{}", channels, perGroup, groups,
                       groups == 1 ? "" : "s");
  if (filters % groups != 0)
    return fmt::format("{} filters cannot be cut into {} groups", filters, groups);
  return std::nullopt;
}

Problem notPlane(const Type &dy, const Window &window) {
  if (planeOf(dy.shape) == window.output)
    return std::nullopt;
  return fmt::format("dy is {} but the window has {} by {} positions", toString(dy), window.output[0],
                     window.output[1]);
}

Rule<Conv> forward(const Type &x, const Type &w, const Dict &attrs) {
  GRADC_REFUSE(notFourD("x", x, "w", w));
  int64_t groups = attrs.i64("groups");
  GRADC_REFUSE(notGrouped(x.shape[1], w.shape[1], w.shape[0], groups));
  Rule<Window> window = slidingWindow(attrs, planeOf(x.shape), planeOf(w.shape));
  if (!window)
    return std::unexpected(window.error());
  return Conv{*window, x.shape[0], x.shape[1], w.shape[0], groups};
}

Rule<Conv> inputGradient(const Type &dy, const Type &w, const Dict &attrs) {
  GRADC_REFUSE(notFourD("dy", dy, "w", w));
  GRADC_REFUSE(notOfLength("input", attrs.ints("input"), 2, "height, width"));
  int64_t groups = attrs.i64("groups");
  if (dy.shape[1] != w.shape[0])
    return refuse("dy is {} with {} channels but w is {} with {} filters", toString(dy), dy.shape[1],
                  toString(w), w.shape[0]);
  GRADC_REFUSE(notGrouped(w.shape[1] * groups, w.shape[1], w.shape[0], groups));
  Rule<Window> window = slidingWindow(attrs, pairOf(attrs.ints("input")), planeOf(w.shape));
  if (!window)
    return std::unexpected(window.error());
  GRADC_REFUSE(notPlane(dy, *window));
  return Conv{*window, dy.shape[0], w.shape[1] * groups, w.shape[0], groups};
}

Rule<Conv> weightGradient(const Type &x, const Type &dy, const Dict &attrs) {
  GRADC_REFUSE(notFourD("x", x, "dy", dy));
  GRADC_REFUSE(notOfLength("kernel", attrs.ints("kernel"), 2, "height, width"));
  int64_t groups = attrs.i64("groups");
  if (x.shape[0] != dy.shape[0])
    return refuse("x is {} but dy is {}: the batch sizes are {} and {}", toString(x), toString(dy),
                  x.shape[0], dy.shape[0]);
  if (x.shape[1] % groups != 0)
    return refuse("{} channels of x cannot be cut into {} groups", x.shape[1], groups);
  GRADC_REFUSE(notGrouped(x.shape[1], x.shape[1] / groups, dy.shape[1], groups));
  Rule<Window> window = slidingWindow(attrs, planeOf(x.shape), pairOf(attrs.ints("kernel")));
  if (!window)
    return std::unexpected(window.error());
  GRADC_REFUSE(notPlane(dy, *window));
  return Conv{*window, x.shape[0], x.shape[1], dy.shape[1], groups};
}

using Recognise = Rule<Conv> (*)(const Type &, const Type &, const Dict &);

template <Recognise recognise, Shape (Conv::*result)() const> Rule<Types> infer(const InferArgs &args) {
  Rule<Conv> conv = recognise(args.operands[0], args.operands[1], args.attrs);
  if (!conv)
    return std::unexpected(conv.error());
  return oneType(productOf(args.operands[0].dtype), ((*conv).*result)());
}

/// f(x, w, y): the linear indices of the factors of every product.
template <class F> void forEachProduct(const Conv &conv, F &&f) {
  const Window &win = conv.window;
  const int64_t perGroup = conv.channels / conv.groups, filtersPerGroup = conv.filters / conv.groups;
  forEachIndex(conv.y(), [&](std::span<const int64_t> y, int64_t yAt) {
    const int64_t firstChannel = y[1] / filtersPerGroup * perGroup;
    for (int64_t kh = 0; kh < win.kernel[0]; ++kh)
      for (int64_t kw = 0; kw < win.kernel[1]; ++kw) {
        const int64_t h = win.at(0, y[2], kh), w = win.at(1, y[3], kw);
        if (h < 0 || h >= win.input[0] || w < 0 || w >= win.input[1])
          continue;
        for (int64_t c = 0; c < perGroup; ++c)
          f(((y[0] * conv.channels + firstChannel + c) * win.input[0] + h) * win.input[1] + w,
            ((y[1] * perGroup + c) * win.kernel[0] + kh) * win.kernel[1] + kw, yAt);
      }
  });
}

enum Factor { X, W, Y };

/// Sums the products of factors `a` and `b`, which the operands are, into the third.
template <Recognise recognise, Factor a, Factor b> void eval(const EvalArgs &args) {
  Conv conv = *recognise(args.operands[0]->type(), args.operands[1]->type(), args.attrs);
  std::vector<double> lhs = toDoubles(*args.operands[0]), rhs = toDoubles(*args.operands[1]);
  std::vector<double> sums(args.results[0].elements());
  forEachProduct(conv, [&](int64_t x, int64_t w, int64_t y) {
    const int64_t at[] = {x, w, y};
    sums[at[X + W + Y - a - b]] += lhs[at[a]] * rhs[at[b]];
  });
  fromDoubles(args.results[0], sums);
}

/// The forward attributes, with one more for the sizes that the operands do not show.
Dict convDict(const Dict &attrs, std::string_view extra = {}, const Shape &sized = {}) {
  Dict dict;
  if (!extra.empty())
    dict.set(extra, std::vector<int64_t>{sized[2], sized[3]});
  for (std::string_view name : {"stride", "padding", "dilation", "groups"})
    dict.set(name, *attrs.find(name));
  return dict;
}

ValueId forwardOf(GradArgs &g, ValueId x, ValueId w) {
  return g.b.create("conv2d", {x, w}, convDict(g.attrs()));
}
ValueId inputGradientOf(GradArgs &g, ValueId dy, ValueId w, const Shape &x) {
  return g.b.create("conv2d_grad_input", {dy, w}, convDict(g.attrs(), "input", x));
}
ValueId weightGradientOf(GradArgs &g, ValueId x, ValueId dy, const Shape &w) {
  return g.b.create("conv2d_grad_weight", {x, dy}, convDict(g.attrs(), "kernel", w));
}

void forwardGrad(GradArgs &g) {
  const ValueId dy = castLike(g, g.dy(), g.x(0));
  if (g.wants(0))
    g.to(0, castLike(g, inputGradientOf(g, dy, g.x(1), g.type(g.x(0)).shape), g.x(0)));
  if (g.wants(1))
    g.to(1, castLike(g, weightGradientOf(g, g.x(0), dy, g.type(g.x(1)).shape), g.x(1)));
}

void inputGradientGrad(GradArgs &g) { // (dy, w) → dx; g.dy() has x's shape
  const ValueId dy = castLike(g, g.dy(), g.x(0));
  if (g.wants(0))
    g.to(0, castLike(g, forwardOf(g, dy, g.x(1)), g.x(0)));
  if (g.wants(1))
    g.to(1, castLike(g, weightGradientOf(g, dy, g.x(0), g.type(g.x(1)).shape), g.x(1)));
}

void weightGradientGrad(GradArgs &g) { // (x, dy) → dw; g.dy() has w's shape
  const ValueId dy = castLike(g, g.dy(), g.x(0));
  if (g.wants(0))
    g.to(0, castLike(g, inputGradientOf(g, g.x(1), dy, g.type(g.x(0)).shape), g.x(0)));
  if (g.wants(1))
    g.to(1, castLike(g, forwardOf(g, g.x(0), dy), g.x(1)));
}

std::vector<AttrSpec> sized(AttrSpec first) {
  std::vector<AttrSpec> attrs = slidingAttrs(true);
  attrs.insert(attrs.begin(), first);
  return attrs;
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(conv2d) {
  static const OpDef rows[] = {
      {.name = "conv2d",
       .doc = "convolution of images [N, C, H, W] with filters [O, C/groups, kh, kw]: "
              "y[n,o,i,j] = Σ x[n, c, i·stride + p·dilation - padding, …] · w[o,c,p,q]; of bf16 the result "
              "is f32",
       .operands = {{"x"}, {"w"}},
       .attrs = slidingAttrs(true),
       .traits = kContraction,
       .infer = infer<forward, &Conv::y>,
       .eval = eval<forward, X, W>,
       .grad = forwardGrad},
      {.name = "conv2d_grad_input",
       .doc = "the gradient of conv2d for its images, from the result's and the filters",
       .operands = {{"dy"}, {"w"}},
       .attrs = sized(sizeAttr("input", "height, width of the images")),
       .traits = kContraction,
       .infer = infer<inputGradient, &Conv::x>,
       .eval = eval<inputGradient, Y, W>,
       .grad = inputGradientGrad},
      {.name = "conv2d_grad_weight",
       .doc = "the gradient of conv2d for its filters, from the images and the result's",
       .operands = {{"x"}, {"dy"}},
       .attrs = sized(sizeAttr("kernel", "height, width of the filters")),
       .traits = kContraction,
       .infer = infer<weightGradient, &Conv::w>,
       .eval = eval<weightGradient, X, Y>,
       .grad = weightGradientGrad},
  };
  return rows;
}
