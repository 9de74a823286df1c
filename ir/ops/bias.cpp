#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0], &b = args.operands[1];
  int64_t axis = fromEnd(args.attrs.i64("axis"), x.rank());
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notSameDType("x", x, "b", b));
  GRADC_REFUSE(notAnAxis(axis, "x", x));
  if (b.rank() != 1 || b.shape[0] != x.shape[axis])
    return refuse("x is {} but b is {}, which must be [{}] for axis {}", toString(x), toString(b),
                  x.shape[axis], axis);
  return oneType(x.dtype, x.shape);
}

std::vector<ValueId> expand(ExpandArgs &args) {
  const Shape shape = args.b.type(args.operands[0]).shape;
  int64_t axis = fromEnd(args.attrs.i64("axis"), shape.rank());
  return {args.b.add(args.operands[0], args.b.broadcast(args.operands[1], shape, {axis}))};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(bias) {
  static const OpDef rows[] = {
      {.name = "bias",
       .doc = "x plus b[i] at every index i along a dimension",
       .operands = {{"x"}, {"b"}},
       .attrs = {{.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension; negative counts from the end",
                  .defaultValue = int64_t{1},
                  .min = -kMaxRank,
                  .max = kMaxRank - 1}},
       .infer = ops::infer,
       .expand = ops::expand},
  };
  return rows;
}
