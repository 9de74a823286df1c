// Non-linearities, element by element. Where a gradient can be had from the result it is: the operand then
// need not live until the backward pass.
#include <numbers>

#include "ir/rules.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kX = {{"x"}};
constexpr double kSqrtHalf = 1 / std::numbers::sqrt2;

Scalar sigmoidOf(Scalar x) { return 1.0 / (1.0 + apply(Leaf::Exp, -x)); }
Scalar isPositive(ScalarBuilder &b, Scalar x) { return apply(Leaf::Gt, x, b.constant(0)); }

ValueId positive(Builder &b, ValueId x) { return b.create("gt", {x, b.zeros(b.type(x))}); }

Scalar relu(ScalarBuilder &b, const Dict &) { return apply(Leaf::Maximum, b.arg(0), b.constant(0)); }
void reluGrad(GradArgs &g) { g.to(0, g.b.select(positive(g.b, g.y()), g.dy(), g.b.zeros(g.type(g.dy())))); }

Scalar leakyRelu(ScalarBuilder &b, const Dict &attrs) {
  Scalar x = b.arg(0);
  return select(isPositive(b, x), x, attrs.f64("slope") * x);
}
void leakyReluGrad(GradArgs &g) {
  g.to(0, g.b.select(positive(g.b, g.x(0)), g.dy(), g.b.scale(g.dy(), g.attrs().f64("slope"))));
}

Scalar elu(ScalarBuilder &b, const Dict &attrs) {
  Scalar x = b.arg(0);
  return select(isPositive(b, x), x, attrs.f64("alpha") * (apply(Leaf::Exp, x) - 1.0));
}
// Below 0 the slope is alpha·e^x = y + alpha.
void eluGrad(GradArgs &g) {
  ValueId alpha = g.b.splat(g.type(g.y()), g.attrs().f64("alpha"));
  g.to(0, g.b.select(positive(g.b, g.x(0)), g.dy(), g.b.mul(g.dy(), g.b.add(g.y(), alpha))));
}

// The approximation of Φ by tanh: ½ (1 + tanh(√(2/π) · (x + 0.044715 x³)))
constexpr double kGeluFactor = kSqrtHalf * 2 * std::numbers::inv_sqrtpi, kGeluCube = 0.044715;
bool byTanh(const Dict &attrs) { return attrs.str("approximate") == "tanh"; }

Scalar gelu(ScalarBuilder &b, const Dict &attrs) {
  Scalar x = b.arg(0);
  if (byTanh(attrs))
    return 0.5 * x * (1.0 + apply(Leaf::Tanh, kGeluFactor * x * (1.0 + kGeluCube * x * x)));
  return 0.5 * x * (1.0 + apply(Leaf::Erf, kSqrtHalf * x));
}

// With t the tanh: ½ (1 + t) + ½ x · (1 - t²) · √(2/π) · (1 + 3·0.044715 x²)
void geluTanhGrad(GradArgs &g) {
  Builder &b = g.b;
  ValueId x = g.x(0), one = b.splat(g.type(x), 1), square = b.create("square", {x});
  ValueId inner = b.mul(b.scale(x, kGeluFactor), b.add(one, b.scale(square, kGeluCube)));
  ValueId t = b.create("tanh", {inner});
  ValueId slope = b.mul(b.sub(one, b.create("square", {t})),
                        b.scale(b.add(one, b.scale(square, 3 * kGeluCube)), kGeluFactor));
  g.to(0, b.mul(g.dy(), b.scale(b.add(b.add(one, t), b.mul(x, slope)), 0.5)));
}

// Φ(x) + x·φ(x), the normal distribution's function and density
void geluGrad(GradArgs &g) {
  if (byTanh(g.attrs()))
    return geluTanhGrad(g);
  Builder &b = g.b;
  ValueId x = g.x(0), one = b.splat(g.type(x), 1);
  ValueId cdf = b.scale(b.add(one, b.create("erf", {b.scale(x, kSqrtHalf)})), 0.5);
  ValueId bell = b.create("exp", {b.scale(b.create("square", {x}), -0.5)});
  ValueId density = b.scale(bell, kSqrtHalf * std::numbers::inv_sqrtpi);
  g.to(0, b.mul(g.dy(), b.add(cdf, b.mul(x, density))));
}

// max(x, 0) + log(1 + t), t = e^-|x|. The logarithm as t·log(u) / (u - 1), u = 1 + t, keeps the digits that
// 1 + t rounds away (Kahan's log1p).
Scalar softplus(ScalarBuilder &b, const Dict &) {
  Scalar x = b.arg(0), t = apply(Leaf::Exp, -apply(Leaf::Abs, x)), u = 1.0 + t;
  Scalar log1p = select(apply(Leaf::Eq, u, b.constant(1)), t, apply(Leaf::Log, u) * t / (u - 1.0));
  return apply(Leaf::Maximum, x, b.constant(0)) + log1p;
}

void tanhGrad(GradArgs &g) {
  ValueId one = g.b.splat(g.type(g.y()), 1);
  g.to(0, g.b.mul(g.dy(), g.b.sub(one, g.b.create("square", {g.y()}))));
}

void sigmoidGrad(GradArgs &g) {
  ValueId one = g.b.splat(g.type(g.y()), 1);
  g.to(0, g.b.mul(g.dy(), g.b.mul(g.y(), g.b.sub(one, g.y()))));
}

// 2/√π · e^(-x²)
void erfGrad(GradArgs &g) {
  ValueId bell = g.b.create("exp", {g.b.neg(g.b.create("square", {g.x(0)}))});
  g.to(0, g.b.mul(g.dy(), g.b.scale(bell, 2 * std::numbers::inv_sqrtpi)));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(activations) {
  static const OpDef rows[] = {
      {.name = "relu",
       .doc = "max(x, 0); its gradient at 0 is 0",
       .operands = kX,
       .traits = kElementwise,
       .scalar = relu,
       .floatOnly = true,
       .grad = reluGrad},
      {.name = "leaky_relu",
       .doc = "x where it is positive, else slope · x",
       .operands = kX,
       .attrs = {{.name = "slope",
                  .kind = AttrKind::F64,
                  .doc = "factor of negative values",
                  .defaultValue = 0.01}},
       .traits = kElementwise,
       .scalar = leakyRelu,
       .floatOnly = true,
       .grad = leakyReluGrad},
      {.name = "elu",
       .doc = "x where it is positive, else alpha · (e^x - 1)",
       .operands = kX,
       .attrs = {{.name = "alpha",
                  .kind = AttrKind::F64,
                  .doc = "minus the limit at minus infinity",
                  .defaultValue = 1.0}},
       .traits = kElementwise,
       .scalar = elu,
       .floatOnly = true,
       .grad = eluGrad},
      {.name = "gelu",
       .doc = "x · Φ(x), Φ the normal distribution function",
       .operands = kX,
       .attrs = {{.name = "approximate",
                  .kind = AttrKind::Keyword,
                  .doc = "Φ by erf, or nearly by tanh",
                  .defaultValue = Keyword{"none"},
                  .keywords = {"none", "tanh"}}},
       .traits = kElementwise,
       .scalar = gelu,
       .floatOnly = true,
       .grad = geluGrad},
      {.name = "softplus",
       .doc = "log(1 + e^x)",
       .operands = kX,
       .traits = kElementwise,
       .scalar = softplus,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.mul(g.dy(), g.b.create("sigmoid", {g.x(0)}))); }},
      {.name = "tanh",
       .doc = "hyperbolic tangent",
       .operands = kX,
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return apply(Leaf::Tanh, b.arg(0)); },
       .floatOnly = true,
       .grad = tanhGrad},
      {.name = "sigmoid",
       .doc = "1 / (1 + e^-x)",
       .operands = kX,
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return sigmoidOf(b.arg(0)); },
       .floatOnly = true,
       .grad = sigmoidGrad},
      {.name = "erf",
       .doc = "error function",
       .operands = kX,
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return apply(Leaf::Erf, b.arg(0)); },
       .floatOnly = true,
       .grad = erfGrad},
  };
  return rows;
}
