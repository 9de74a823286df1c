// Reductions over some dimensions. reduceSum of no axes is the identity.
#include <cmath>
#include <limits>

#include "ir/rules.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kX = {{"x"}};
const std::vector<AttrSpec> kAttrs = {
    {.name = "axes",
     .kind = AttrKind::Ints,
     .doc = "the dimensions to reduce, strictly increasing",
     .required = true,
     .min = 0},
    {.name = "keep_dims", .kind = AttrKind::Bool, .doc = "keep them, with size 1", .defaultValue = false}};

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> axes = args.attrs.ints("axes");
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notAxes(axes, "x", x));
  Shape shape;
  for (int axis = 0; axis < x.rank(); ++axis)
    if (!contains(axes, axis))
      shape.push(x.shape[axis]);
    else if (args.attrs.flag("keep_dims"))
      shape.push(1);
  return oneType(x.dtype, shape);
}

double sum(double a, double b) { return a + b; }
double larger(double a, double b) { return a >= b || std::isnan(a) ? a : b; }
double smaller(double a, double b) { return a <= b || std::isnan(a) ? a : b; }

template <double (*combine)(double, double)> void eval(const EvalArgs &args) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Shape &shape = args.operands[0]->type().shape;
  std::vector<int64_t> strides(shape.rank(), 0);
  int64_t stride = 1;
  for (int axis = shape.rank(); axis-- > 0;)
    if (!contains(args.attrs.ints("axes"), axis)) {
      strides[axis] = stride;
      stride *= shape[axis];
    }
  std::vector<double> result(stride, combine == sum ? 0 : combine == larger ? -kInf : kInf);
  std::vector<double> x = toDoubles(*args.operands[0]);
  forEachIndex(shape, [&](std::span<const int64_t> index, int64_t linear) {
    double &to = result[linearIndex(index, strides)];
    to = combine(to, x[linear]);
  });
  fromDoubles(args.results[0], result);
}

/// The shape of the result without kept dimensions.
Shape dropped(const Shape &x, const std::vector<int64_t> &axes) {
  Shape shape;
  for (int64_t axis : otherAxes(x.rank(), axes))
    shape.push(x[axis]);
  return shape;
}

ValueId spread(Builder &b, ValueId dy, Shape x, const std::vector<int64_t> &axes) {
  return b.broadcast(b.reshape(dy, dropped(x, axes)), x, otherAxes(x.rank(), axes));
}

void sumGrad(GradArgs &g) { g.to(0, spread(g.b, g.dy(), g.type(g.x(0)).shape, g.attrs().ints("axes"))); }

// The gradient goes to the first of equal elements in row-major order. One axis at a time, the last first: what
// the outer axes chose among the inner results is the row-major first.
template <bool maximum> ValueId extremumGradOf(Builder &b, ValueId x, ValueId dy, std::vector<int64_t> axes) {
  if (axes.empty())
    return dy;
  const Type type = b.type(x);
  int64_t axis = axes.back();
  axes.pop_back();
  std::vector<int64_t> others = otherAxes(type.rank(), {axis});
  Dict reduce, along, positions;
  reduce.set("axes", std::vector<int64_t>{axis});
  along.set("axis", axis);
  positions.set("shape", type.shape);
  positions.set("axis", axis);
  positions.set("dtype", DType::I32);
  if (!axes.empty()) // dimensions before `axis` keep their numbers without it
    dy = extremumGradOf<maximum>(b, b.create(maximum ? "reduce_max" : "reduce_min", {x}, reduce), dy, axes);
  ValueId first = b.create("argmax", {maximum ? x : b.neg(x)}, along);
  ValueId chosen = b.create("eq", {b.create("iota", {}, positions), b.broadcast(first, type.shape, others)});
  return b.select(chosen, b.broadcast(dy, type.shape, others), b.zeros(type));
}

template <bool maximum> void extremumGrad(GradArgs &g) {
  const Shape x = g.type(g.x(0)).shape;
  std::vector<int64_t> axes = g.attrs().ints("axes");
  g.to(0, extremumGradOf<maximum>(g.b, g.x(0), g.b.reshape(g.dy(), dropped(x, axes)), axes));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(reduce) {
  static const OpDef rows[] = {
      {.name = "reduce_sum",
       .doc = "sum over dimensions",
       .operands = kX,
       .attrs = kAttrs,
       .traits = kReduction,
       .infer = ops::infer,
       .eval = ops::eval<sum>,
       .grad = sumGrad},
      {.name = "reduce_max",
       .doc = "maximum over dimensions; NaN if any is; the gradient goes to the first of equals",
       .operands = kX,
       .attrs = kAttrs,
       .traits = kReduction,
       .infer = ops::infer,
       .eval = ops::eval<larger>,
       .grad = extremumGrad<true>},
      {.name = "reduce_min",
       .doc = "minimum over dimensions; NaN if any is; the gradient goes to the first of equals",
       .operands = kX,
       .attrs = kAttrs,
       .traits = kReduction,
       .infer = ops::infer,
       .eval = ops::eval<smaller>,
       .grad = extremumGrad<false>},
  };
  return rows;
}
