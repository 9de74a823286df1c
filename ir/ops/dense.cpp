#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0], &w = args.operands[1];
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notSameDType("x", x, "w", w));
  GRADC_REFUSE(notOfRank("w", w, 2));
  if (x.rank() == 0 || x.shape[x.rank() - 1] != w.shape[1])
    return refuse("x is {} but w is {}, which takes {} inputs", toString(x), toString(w), w.shape[1]);
  Shape shape = x.shape;
  shape[x.rank() - 1] = w.shape[0];
  if (args.operands.size() == 3) {
    const Type &b = args.operands[2];
    GRADC_REFUSE(notSameDType("x", x, "b", b));
    if (!(b.shape == Shape{w.shape[0]}))
      return refuse("w is {} but b is {}, which must be [{}]", toString(w), toString(b), w.shape[0]);
  }
  return oneType(x.dtype, shape);
}

std::vector<ValueId> expand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId x = args.operands[0], w = args.operands[1];
  const Shape from = b.type(x).shape;
  if (from.rank() == 1) // a product needs rows
    x = b.reshape(x, {1, from[0]});
  ValueId y = b.matmul(x, w, false, true);
  if (args.operands.size() == 3) {
    const Shape shape = b.type(y).shape;
    y = b.add(y, b.broadcast(args.operands[2], shape, {shape.rank() - 1}));
  }
  return {from.rank() == 1 ? b.reshape(y, {b.type(w).shape[0]}) : y};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(dense) {
  static const OpDef rows[] = {
      {.name = "dense",
       .doc = "x · wᵀ + b over x's last dimension: w is [units, inputs], b is [units]",
       .operands = {{"x"}, {"w"}, {.name = "b", .optional = true}},
       .infer = ops::infer,
       .expand = ops::expand},
  };
  return rows;
}
