#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  std::vector<int64_t> permutation = args.attrs.ints("permutation");
  GRADC_REFUSE(notOfLength("permutation", permutation, x.rank(), "one for each dimension of x"));
  Shape shape;
  for (size_t i = 0; i < permutation.size(); ++i) {
    GRADC_REFUSE(notAnAxis(permutation[i], "x", x));
    for (size_t j = 0; j < i; ++j)
      if (permutation[j] == permutation[i])
        return refuse("permutation must name each dimension of x once but {} stands twice", permutation[i]);
    shape.push(x.shape[permutation[i]]);
  }
  return oneType(x.dtype, shape);
}

void eval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0];
  std::vector<int64_t> permutation = args.attrs.ints("permutation"),
                       strides = rowMajorStrides(x.type().shape);
  forEachIndex(args.results[0].type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    int64_t source = 0;
    for (size_t i = 0; i < permutation.size(); ++i)
      source += index[i] * strides[permutation[i]];
    copyElement(args.results[0], linear, x, source);
  });
}

void grad(GradArgs &g) {
  std::vector<int64_t> permutation = g.attrs().ints("permutation"), inverse(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i)
    inverse[permutation[i]] = static_cast<int64_t>(i);
  g.to(0, g.b.transpose(g.dy(), inverse));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(transpose) {
  static const OpDef rows[] = {
      {.name = "transpose",
       .doc = "dimension i of the result is dimension permutation[i] of x",
       .operands = {{"x"}},
       .attrs = {{.name = "permutation",
                  .kind = AttrKind::Ints,
                  .doc = "each dimension of x once",
                  .required = true,
                  .min = 0}},
       .traits = kMovement,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = ops::grad},
  };
  return rows;
}
