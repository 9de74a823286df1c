#include <cmath>

#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  int64_t axis = args.attrs.i64("axis");
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notAnAxis(axis, "x", x));
  Shape shape;
  for (int64_t other : otherAxes(x.rank(), {axis}))
    shape.push(x.shape[other]);
  return oneType(DType::I32, shape);
}

void eval(const EvalArgs &args) {
  const Shape &shape = args.operands[0]->type().shape;
  std::vector<double> x = toDoubles(*args.operands[0]);
  int64_t axis = args.attrs.i64("axis"), size = shape[axis], inner = rowMajorStrides(shape)[axis];
  for (int64_t i = 0; i < args.results[0].elements(); ++i) {
    const double *line = &x[i / inner * size * inner + i % inner];
    int64_t best = 0;
    for (int64_t k = 1; k < size && !std::isnan(line[best * inner]); ++k)
      if (line[k * inner] > line[best * inner] || std::isnan(line[k * inner]))
        best = k;
    args.results[0].setInt(i, best);
  }
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(argmax) {
  static const OpDef rows[] = {
      {.name = "argmax",
       .doc = "index of the largest element along a dimension; the first of equals, or the first NaN",
       .operands = {{"x"}},
       .attrs = {{.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension to search",
                  .required = true,
                  .min = 0,
                  .max = kMaxRank - 1}},
       .traits = kReduction,
       .infer = ops::infer,
       .eval = ops::eval,
       .notDifferentiable = "its result is an index"},
  };
  return rows;
}
