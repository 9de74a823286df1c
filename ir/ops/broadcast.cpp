#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> axes = args.attrs.ints("axes"), shape = args.attrs.ints("shape");
  GRADC_REFUSE(notAShape("shape", shape));
  Type result{x.dtype, Shape(shape), {}};
  GRADC_REFUSE(notOfLength("axes", axes, x.rank(), "one for each dimension of x"));
  GRADC_REFUSE(notAxes(axes, "the result", result));
  for (int i = 0; i < x.rank(); ++i)
    if (x.shape[i] != shape[axes[i]])
      return refuse("x is {} but dimension {} of the result {} is {}", toString(x), axes[i],
                    toString(result.shape), shape[axes[i]]);
  return Types{result};
}

void eval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  std::vector<int64_t> axes = args.attrs.ints("axes"), strides = rowMajorStrides(x.type().shape);
  forEachIndex(args.results[0].type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    int64_t source = 0;
    for (size_t i = 0; i < axes.size(); ++i)
      source += index[axes[i]] * strides[i];
    copyElement(args.results[0], linear, x, source);
  });
}

void grad(GradArgs &g) {
  std::vector<int64_t> repeated = otherAxes(g.type(g.y()).rank(), g.attrs().ints("axes"));
  g.to(0, repeated.empty() ? g.dy() : g.b.reduceSum(g.dy(), repeated));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(broadcast) {
  static const OpDef rows[] = {
      {.name = "broadcast",
       .doc = "repeats x: its dimension i becomes dimension axes[i] of the result, along the others it is "
              "repeated",
       .operands = {{"x"}},
       .attrs = {{.name = "axes",
                  .kind = AttrKind::Ints,
                  .doc = "for each dimension of x its place in the result, "
                         "strictly increasing",
                  .required = true,
                  .min = 0},
                 {.name = "shape",
                  .kind = AttrKind::Ints,
                  .doc = "shape of the result",
                  .required = true,
                  .min = 1}},
       .traits = kMovement | kCheap,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = ops::grad},
  };
  return rows;
}
