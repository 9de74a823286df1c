#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  GRADC_REFUSE(notAxes(args.attrs.ints("axes"), "x", args.operands[0]));
  return oneType(args.operands[0].dtype, args.operands[0].shape);
}

void eval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  std::vector<int64_t> axes = args.attrs.ints("axes"), strides = rowMajorStrides(x.type().shape);
  forEachIndex(x.type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    int64_t source = linear;
    for (int64_t axis : axes)
      source += (x.type().shape[axis] - 1 - 2 * index[axis]) * strides[axis];
    copyElement(args.results[0], linear, x, source);
  });
}

void grad(GradArgs &g) { g.to(0, g.b.create("reverse", {g.dy()}, {{"axes", g.attrs().ints("axes")}})); }

} // namespace
} // namespace gradc::ops

GRADC_OPS(reverse) {
  static const OpDef rows[] = {
      {.name = "reverse",
       .doc = "x with the order of its elements turned round along some dimensions",
       .operands = {{"x"}},
       .attrs = {{.name = "axes",
                  .kind = AttrKind::Ints,
                  .doc = "the dimensions, strictly increasing",
                  .required = true,
                  .min = 0}},
       .traits = kMovement,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = ops::grad},
  };
  return rows;
}
