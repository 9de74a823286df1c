// Layer normalization: each example's last dimensions, which are weight's, brought to mean 0 and variance 1.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0], &weight = args.operands[1], &bias = args.operands[2];
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notSameDType("x", x, "weight", weight));
  GRADC_REFUSE(notSameType("weight", weight, "bias", bias));
  const int rank = weight.rank();
  if (rank == 0 || rank > x.rank() ||
      !std::equal(weight.shape.begin(), weight.shape.end(), x.shape.end() - rank))
    return refuse("x is {} but weight is {}, which must be x's last dimensions", toString(x),
                  toString(weight));
  return oneType(x.dtype, x.shape);
}

/// What forward and backward pass need of x. Both build it, and cse makes it one.
struct Statistics {
  Builder &b;
  Shape shape;
  std::vector<int64_t> outer, inner; // dimensions that count examples, those that are normalized
  ValueId centred, rstd;

  Statistics(Builder &b, ValueId x, ValueId weight, double epsilon) : b(b), shape(b.type(x).shape) {
    outer = firstAxes(shape.rank() - b.type(weight).rank());
    inner = otherAxes(shape.rank(), outer);
    centred = b.sub(x, perExample(average(x)));
    ValueId variance = average(b.create("square", {centred}));
    rstd = perExample(b.create("rsqrt", {b.add(variance, b.splat(b.type(variance), epsilon))}));
  }
  ValueId average(ValueId v) const {
    ValueId sum = b.reduceSum(v, inner);
    return b.scale(sum, double(b.type(sum).elements()) / double(shape.elements()));
  }
  ValueId perExample(ValueId v) const { return b.broadcast(v, shape, outer); }
  ValueId perElement(ValueId v) const { return b.broadcast(v, shape, inner); }
  ValueId overExamples(ValueId v) const { return outer.empty() ? v : b.reduceSum(v, outer); }
};

std::vector<ValueId> expand(ExpandArgs &args) {
  Builder &b = args.b;
  Statistics s(b, args.operands[0], args.operands[1], args.attrs.f64("epsilon"));
  ValueId scaled = b.mul(b.mul(s.centred, s.rstd), s.perElement(args.operands[1]));
  return {b.add(scaled, s.perElement(args.operands[2]))};
}

// dx = rstd · (h - mean(h) - x̂ · mean(h·x̂)) with h = dy·weight
void grad(GradArgs &g) {
  Builder &b = g.b;
  Statistics s(b, g.x(0), g.x(1), g.attrs().f64("epsilon"));
  ValueId normal = b.mul(s.centred, s.rstd);
  if (g.wants(0)) {
    ValueId h = b.mul(g.dy(), s.perElement(g.x(1)));
    ValueId mean = s.perExample(s.average(h)), slope = s.perExample(s.average(b.mul(h, normal)));
    g.to(0, b.mul(s.rstd, b.sub(b.sub(h, mean), b.mul(normal, slope))));
  }
  if (g.wants(1))
    g.to(1, s.overExamples(b.mul(g.dy(), normal)));
  if (g.wants(2))
    g.to(2, s.overExamples(g.dy()));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(layer_norm) {
  static const OpDef rows[] = {
      {.name = "layer_norm",
       .doc = "x's last dimensions, as many as weight has, brought to mean 0 and variance 1 together, times "
              "weight, plus bias",
       .operands = {{"x"}, {"weight"}, {"bias"}},
       .attrs = {{.name = "epsilon",
                  .kind = AttrKind::F64,
                  .doc = "added to the variance",
                  .defaultValue = 1e-5,
                  .min = 0}},
       .infer = ops::infer,
       .grad = ops::grad,
       .expand = ops::expand},
  };
  return rows;
}
