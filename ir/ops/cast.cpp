#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  Type type = args.operands[0];
  type.dtype = *args.attrs.find("dtype")->as<DType>();
  return Types{type};
}

void eval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  Tensor &y = args.results[0];
  DType from = x.type().dtype, to = y.type().dtype;
  for (int64_t i = 0; i < x.elements(); ++i) {
    if (to == DType::Bool)
      y.setInt(i, isFloat(from) ? x.get(i) != 0 : x.getInt(i) != 0);
    else if (isFloat(from) || isFloat(to))
      y.set(i, x.get(i));
    else
      y.setInt(i, x.getInt(i));
  }
}

void grad(GradArgs &g) {
  DType from = g.type(g.x(0)).dtype;
  if (isFloat(from) && isFloat(g.type(g.y()).dtype))
    g.to(0, g.b.cast(g.dy(), from));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(cast) {
  static const OpDef rows[] = {
      {.name = "cast",
       .doc = "x in another element type: to floats rounds to nearest even, float to integer truncates and "
              "saturates (NaN gives 0), integers wrap, to bool is x ≠ 0",
       .operands = {{"x"}},
       .attrs = {{.name = "dtype", .kind = AttrKind::DType, .doc = "the new element type", .required = true}},
       .traits = kElementwise,
       .infer = ops::infer,
       .eval = ops::eval,
       .scalar = [](ScalarBuilder &b, const Dict &) { return b.arg(0); },
       .grad = ops::grad},
  };
  return rows;
}
