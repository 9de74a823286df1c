#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> shape = args.attrs.ints("shape");
  GRADC_REFUSE(notAShape("shape", shape));
  Type result{x.dtype, Shape(shape), {}};
  if (result.elements() != x.elements())
    return refuse("x is {} with {} elements but shape {} has {}", toString(x), x.elements(),
                  toString(result.shape), result.elements());
  return Types{result};
}

void eval(const EvalArgs &args) {
  for (int64_t i = 0; i < args.results[0].elements(); ++i)
    copyElement(args.results[0], i, *args.operands[0], i);
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(reshape) {
  static const OpDef rows[] = {
      {.name = "reshape",
       .doc = "the elements of x in row-major order under another shape",
       .operands = {{"x"}},
       .attrs = {{.name = "shape",
                  .kind = AttrKind::Ints,
                  .doc = "shape of the result",
                  .required = true,
                  .min = 1}},
       .traits = kMovement,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = [](GradArgs &g) { g.to(0, g.b.reshape(g.dy(), g.type(g.x(0)).shape)); }},
  };
  return rows;
}
