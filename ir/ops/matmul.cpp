#include "ir/rules.h"

namespace gradc::ops {
namespace {

struct Sizes {
  int64_t m, n, k, kRhs;
};

/// One matrix for all leading indices of lhs: the product of [rows, k] by it, rows being all dimensions but the last.
bool isShared(const Type &a, const Type &b) { return a.rank() > 2 && b.rank() == 2; }

Sizes sizes(const Type &a, const Type &b, const Dict &attrs) {
  int r = a.rank(), q = b.rank();
  bool ta = attrs.flag("transpose_a"), tb = attrs.flag("transpose_b");
  return {a.shape[ta ? r - 1 : r - 2], b.shape[tb ? q - 2 : q - 1], a.shape[ta ? r - 2 : r - 1],
          b.shape[tb ? q - 1 : q - 2]};
}

Rule<Types> infer(const InferArgs &args) {
  const Type &a = args.operands[0], &b = args.operands[1];
  GRADC_REFUSE(notFactor("lhs", a));
  GRADC_REFUSE(notSameDType("lhs", a, "rhs", b));
  if (a.rank() < 2 || (a.rank() != b.rank() && !isShared(a, b)))
    return refuse("operands must have equal rank of at least 2, or rhs rank 2, but lhs is {} and rhs is {}",
                  toString(a), toString(b));
  if (isShared(a, b) && args.attrs.flag("transpose_a"))
    return refuse("transpose_a needs operands of equal rank but lhs is {} and rhs is {}", toString(a),
                  toString(b));
  Shape shape = a.shape;
  for (int i = 0; i + 2 < b.rank(); ++i)
    if (a.shape[i] != b.shape[i])
      return refuse("batch dimensions must be equal but lhs is {} and rhs is {}", toString(a), toString(b));
  Sizes s = sizes(a, b, args.attrs);
  if (s.k != s.kRhs)
    return refuse("lhs is {} but rhs is {}: the inner dimensions are {} and {}", toString(a), toString(b),
                  s.k, s.kRhs);
  shape[a.rank() - 2] = s.m;
  shape[a.rank() - 1] = s.n;
  return oneType(productOf(a.dtype), shape);
}

void eval(const EvalArgs &args) {
  bool ta = args.attrs.flag("transpose_a"), tb = args.attrs.flag("transpose_b");
  auto [m, n, k, kRhs] = sizes(args.operands[0]->type(), args.operands[1]->type(), args.attrs);
  std::vector<double> a = toDoubles(*args.operands[0]), b = toDoubles(*args.operands[1]);
  std::vector<double> y(args.results[0].elements());
  const int64_t step = args.operands[1]->type().rank() == 2 ? 0 : k * n;
  for (int64_t batch = 0; batch < std::ssize(y) / (m * n); ++batch)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const double *pa = &a[batch * m * k], *pb = &b[batch * step];
        double sum = 0;
        for (int64_t p = 0; p < k; ++p)
          sum += pa[ta ? p * m + i : i * k + p] * pb[tb ? j * k + p : p * n + j];
        y[(batch * m + i) * n + j] = sum;
      }
  fromDoubles(args.results[0], y);
}

// As below, with the rows of all leading indices in one product for dB.
void sharedGrad(GradArgs &g) {
  bool tb = g.attrs().flag("transpose_b");
  const ValueId a = g.x(0), b = g.x(1), given = castLike(g, g.dy(), a);
  if (g.wants(0))
    g.to(0, castLike(g, g.b.matmul(given, b, false, !tb), a));
  if (!g.wants(1))
    return;
  auto rows = [&](ValueId v) {
    const Shape shape = g.type(v).shape;
    return g.b.reshape(v, {shape.elements() / shape[shape.rank() - 1], shape[shape.rank() - 1]});
  };
  ValueId x = rows(a), dy = rows(given);
  g.to(1, castLike(g, tb ? g.b.matmul(dy, x, true, false) : g.b.matmul(x, dy, true, false), b));
}

// With A' and B' for the operands as they are multiplied: dA' = dY·B'ᵀ, dB' = A'ᵀ·dY.
void grad(GradArgs &g) {
  if (isShared(g.type(g.x(0)), g.type(g.x(1))))
    return sharedGrad(g);
  bool ta = g.attrs().flag("transpose_a"), tb = g.attrs().flag("transpose_b");
  const ValueId a = g.x(0), b = g.x(1), dy = castLike(g, g.dy(), a);
  if (g.wants(0))
    g.to(0, castLike(g, ta ? g.b.matmul(b, dy, tb, true) : g.b.matmul(dy, b, false, !tb), a));
  if (g.wants(1))
    g.to(1, castLike(g, tb ? g.b.matmul(dy, a, true, ta) : g.b.matmul(a, dy, !ta, false), b));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(matmul) {
  static const OpDef rows[] = {
      {.name = "matmul",
       .doc = "matrix product over the last two dimensions, for each index of the leading ones; an rhs of "
              "rank 2 is "
              "the same for all of them; of bf16 the result is f32",
       .operands = {{"lhs"}, {"rhs"}},
       .attrs = {{.name = "transpose_a",
                  .kind = AttrKind::Bool,
                  .doc = "lhs is stored [k, m] instead of [m, k]",
                  .defaultValue = false},
                 {.name = "transpose_b",
                  .kind = AttrKind::Bool,
                  .doc = "rhs is stored [n, k] instead of [k, n]",
                  .defaultValue = false}},
       .traits = kContraction,
       .infer = ops::infer,
       .eval = ops::eval,
       .grad = ops::grad},
  };
  return rows;
}
