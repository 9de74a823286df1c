#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  if (args.operands.empty())
    return refuse("concat takes at least 1 operand, but got 0");
  Type result = args.operands[0];
  result.layout.clear();
  int64_t axis = args.attrs.i64("axis");
  GRADC_REFUSE(notAnAxis(axis, "the operands", result));
  for (const Type &type : args.operands.subspan(1)) {
    Type fitting = type;
    fitting.layout.clear();
    if (type.rank() == result.rank())
      fitting.shape[axis] = args.operands[0].shape[axis];
    if (type.rank() != result.rank() || fitting.dtype != result.dtype ||
        !(fitting.shape == args.operands[0].shape))
      return refuse("operands may differ in dimension {} only but are {} and {}", axis,
                    toString(args.operands[0]), toString(type));
  }
  for (const Type &type : args.operands.subspan(1))
    result.shape[axis] += type.shape[axis];
  return Types{result};
}

void eval(const EvalArgs &args) {
  Tensor &y = args.results[0];
  int64_t axis = args.attrs.i64("axis"), offset = 0;
  std::vector<int64_t> strides = rowMajorStrides(y.type().shape);
  for (const Tensor *x : args.operands) {
    forEachIndex(x->type().shape, [&](std::span<const int64_t> index, int64_t linear) {
      copyElement(y, linearIndex(index, strides) + offset * strides[axis], *x, linear);
    });
    offset += x->type().shape[axis];
  }
}

void grad(GradArgs &g) {
  const Shape whole = g.type(g.y()).shape;
  int64_t axis = g.attrs().i64("axis");
  std::vector<int64_t> start(whole.rank(), 0), limit(whole.begin(), whole.end());
  limit[axis] = 0;
  for (size_t i = 0; i < g.numOperands(); ++i) {
    start[axis] = limit[axis];
    limit[axis] += g.type(g.x(i)).shape[axis];
    if (!g.wants(i))
      continue;
    g.to(i, g.b.create("slice", {g.dy()}, {{"start", start}, {"limit", limit}}));
  }
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(concat) {
  static const OpDef rows[] = {
      {.name = "concat",
       .doc = "the operands one after the other along a dimension",
       .operands = {{.name = "operands", .variadic = true}},
       .attrs = {{.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension that grows",
                  .required = true,
                  .min = 0,
                  .max = kMaxRank - 1}},
       .traits = kMovement,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = ops::grad},
  };
  return rows;
}
