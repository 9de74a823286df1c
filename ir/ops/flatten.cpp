#include "ir/rules.h"

namespace gradc::ops {
namespace {

Shape flattened(const Shape &shape) { return {shape[0], shape.elements() / shape[0]}; }

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  if (x.rank() < 1)
    return refuse("x must have rank 1 at least but is {}", toString(x));
  return oneType(x.dtype, flattened(x.shape));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(flatten) {
  static const OpDef rows[] = {
      {.name = "flatten",
       .doc = "one row for each index of the first dimension",
       .operands = {{"x"}},
       .infer = ops::infer,
       .expand = [](ExpandArgs &args) -> std::vector<ValueId> {
         return {args.b.reshape(args.operands[0], flattened(args.b.type(args.operands[0]).shape))};
       }},
  };
  return rows;
}
