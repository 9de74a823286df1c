// slice and pad: each is the other's gradient.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

std::vector<int64_t> stepsOr(const Dict &attrs, std::string_view name, int rank, int64_t fallback) {
  return attrs.has(name) ? attrs.ints(name) : std::vector<int64_t>(rank, fallback);
}

Rule<Types> sliceInfer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> start = args.attrs.ints("start"), limit = args.attrs.ints("limit"),
                       stride = stepsOr(args.attrs, "stride", x.rank(), 1);
  GRADC_REFUSE(notOfLength("start", start, x.rank(), "one for each dimension of x"));
  GRADC_REFUSE(notOfLength("limit", limit, x.rank(), "one for each dimension of x"));
  GRADC_REFUSE(notOfLength("stride", stride, x.rank(), "one for each dimension of x"));
  Shape shape;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (start[axis] >= limit[axis] || limit[axis] > x.shape[axis])
      return refuse("start {} and limit {} do not lie in dimension {} of x, which is {}", start[axis],
                    limit[axis], axis, toString(x));
    shape.push((limit[axis] - start[axis] + stride[axis] - 1) / stride[axis]);
  }
  return oneType(x.dtype, shape);
}

void sliceEval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  std::vector<int64_t> start = args.attrs.ints("start"),
                       stride = stepsOr(args.attrs, "stride", x.type().rank(), 1),
                       strides = rowMajorStrides(x.type().shape);
  forEachIndex(args.results[0].type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    int64_t source = 0;
    for (size_t axis = 0; axis < index.size(); ++axis)
      source += (start[axis] + index[axis] * stride[axis]) * strides[axis];
    copyElement(args.results[0], linear, x, source);
  });
}

void sliceGrad(GradArgs &g) {
  const Shape x = g.type(g.x(0)).shape, y = g.type(g.y()).shape;
  std::vector<int64_t> low = g.attrs().ints("start"), interior = stepsOr(g.attrs(), "stride", x.rank(), 1),
                       high;
  for (int axis = 0; axis < x.rank(); ++axis) {
    high.push_back(x[axis] - low[axis] - ((y[axis] - 1) * interior[axis] + 1));
    --interior[axis];
  }
  g.to(0, g.b.create("pad", {g.dy()}, {{"low", low}, {"high", high}, {"interior", interior}}));
}

Rule<Types> padInfer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> low = args.attrs.ints("low"), high = args.attrs.ints("high"),
                       interior = stepsOr(args.attrs, "interior", x.rank(), 0);
  GRADC_REFUSE(notOfLength("low", low, x.rank(), "one for each dimension of x"));
  GRADC_REFUSE(notOfLength("high", high, x.rank(), "one for each dimension of x"));
  GRADC_REFUSE(notOfLength("interior", interior, x.rank(), "one for each dimension of x"));
  std::vector<int64_t> shape;
  for (int axis = 0; axis < x.rank(); ++axis)
    shape.push_back(low[axis] + x.shape[axis] + (x.shape[axis] - 1) * interior[axis] + high[axis]);
  GRADC_REFUSE(notAShape("the padded shape", shape));
  return oneType(x.dtype, Shape(shape));
}

void padEval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  Tensor &y = args.results[0];
  std::vector<int64_t> low = args.attrs.ints("low"),
                       interior = stepsOr(args.attrs, "interior", x.type().rank(), 0),
                       strides = rowMajorStrides(y.type().shape);
  for (int64_t i = 0; i < y.elements(); ++i)
    y.set(i, args.attrs.f64("value"));
  forEachIndex(x.type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    int64_t target = 0;
    for (size_t axis = 0; axis < index.size(); ++axis)
      target += (low[axis] + index[axis] * (interior[axis] + 1)) * strides[axis];
    copyElement(y, target, x, linear);
  });
}

void padGrad(GradArgs &g) {
  const Shape x = g.type(g.x(0)).shape;
  std::vector<int64_t> start = g.attrs().ints("low"), stride = stepsOr(g.attrs(), "interior", x.rank(), 0),
                       limit;
  for (int axis = 0; axis < x.rank(); ++axis) {
    ++stride[axis];
    limit.push_back(start[axis] + (x[axis] - 1) * stride[axis] + 1);
  }
  g.to(0, g.b.create("slice", {g.dy()}, {{"start", start}, {"limit", limit}, {"stride", stride}}));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(slice) {
  constexpr double kMost = int64_t{1} << 40;
  static const OpDef rows[] = {
      {.name = "slice",
       .doc = "the elements start, start + stride, … below limit along each dimension",
       .operands = {{"x"}},
       .attrs = {{.name = "start",
                  .kind = AttrKind::Ints,
                  .doc = "first index of each dimension",
                  .required = true,
                  .min = 0,
                  .max = kMost},
                 {.name = "limit",
                  .kind = AttrKind::Ints,
                  .doc = "one past the last index of each dimension",
                  .required = true,
                  .min = 1,
                  .max = kMost},
                 {.name = "stride",
                  .kind = AttrKind::Ints,
                  .doc = "step along each dimension; all 1 if left out",
                  .min = 1,
                  .max = kMost}},
       .traits = kMovement,
       .infer = sliceInfer,
       .eval = sliceEval,
       .grad = sliceGrad},
      {.name = "pad",
       .doc = "x with `value` before, after and between its elements along each dimension",
       .operands = {{"x"}},
       .attrs = {{.name = "low",
                  .kind = AttrKind::Ints,
                  .doc = "elements before, for each dimension",
                  .required = true,
                  .min = 0,
                  .max = kMost},
                 {.name = "high",
                  .kind = AttrKind::Ints,
                  .doc = "elements after, for each dimension",
                  .required = true,
                  .min = 0,
                  .max = kMost},
                 {.name = "interior",
                  .kind = AttrKind::Ints,
                  .doc = "elements between neighbours, for each dimension; all 0 if left out",
                  .min = 0,
                  .max = 1 << 20}, // times a dimension stays below 2^63
                 {.name = "value",
                  .kind = AttrKind::F64,
                  .doc = "what the new elements are",
                  .defaultValue = 0.0}},
       .traits = kMovement,
       .infer = padInfer,
       .eval = padEval,
       .grad = padGrad},
  };
  return rows;
}
