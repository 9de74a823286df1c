// Arithmetic, element by element. Integers have add, sub, mul, maximum and minimum only, and wrap.
#include <numbers>

#include "ir/rules.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kUnary = {{"x"}};
const std::vector<OperandSpec> kBinary = {{"lhs"}, {"rhs"}};

template <Leaf leaf> Scalar unary(ScalarBuilder &b, const Dict &) { return b.make(leaf, b.arg(0)); }
template <Leaf leaf> Scalar binary(ScalarBuilder &b, const Dict &) {
  return b.make(leaf, b.arg(0), b.arg(1));
}

void noGradient(GradArgs &) {}

void addGrad(GradArgs &g) {
  g.to(0, g.dy());
  g.to(1, g.dy());
}

void subGrad(GradArgs &g) {
  g.to(0, g.dy());
  if (g.wants(1))
    g.to(1, g.b.neg(g.dy()));
}

void mulGrad(GradArgs &g) {
  for (int i : {0, 1})
    if (g.wants(i))
      g.to(i, g.b.mul(g.dy(), g.x(1 - i)));
}

void divGrad(GradArgs &g) {
  ValueId quotient = g.b.div(g.dy(), g.x(1));
  g.to(0, quotient);
  if (g.wants(1))
    g.to(1, g.b.neg(g.b.mul(quotient, g.y())));
}

// d(a^b)/da = b·a^(b-1), 0 where b = 0; d(a^b)/db = a^b·log a, 0 where a = 0 and b >= 0.
void powGrad(GradArgs &g) {
  ValueId a = g.x(0), b = g.x(1), zero = g.b.zeros(g.type(a)), one = g.b.splat(g.type(a), 1);
  if (g.wants(0)) {
    ValueId slope = g.b.mul(b, g.b.create("pow", {a, g.b.sub(b, one)}));
    g.to(0, g.b.mul(g.dy(), g.b.select(g.b.create("eq", {b, zero}), zero, slope)));
  }
  if (g.wants(1)) {
    ValueId flat = g.b.create("and", {g.b.create("eq", {a, zero}), g.b.create("ge", {b, zero})});
    ValueId slope = g.b.mul(g.y(), g.b.create("log", {a}));
    g.to(1, g.b.mul(g.dy(), g.b.select(flat, zero, slope)));
  }
}

// The gradient goes to the operand that was taken; of equal ones to the first.
template <bool maximum> void extremumGrad(GradArgs &g) {
  ValueId zero = g.b.zeros(g.type(g.dy()));
  ValueId first = g.b.create(maximum ? "ge" : "le", {g.x(0), g.x(1)});
  if (g.wants(0))
    g.to(0, g.b.select(first, g.dy(), zero));
  if (g.wants(1))
    g.to(1, g.b.select(first, zero, g.dy()));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(arithmetic) {
  static const OpDef rows[] = {
      {.name = "add",
       .doc = "lhs + rhs",
       .operands = kBinary,
       .traits = kElementwise | kCommutative,
       .scalar = binary<Leaf::Add>,
       .grad = addGrad},
      {.name = "sub",
       .doc = "lhs - rhs",
       .operands = kBinary,
       .traits = kElementwise,
       .scalar = binary<Leaf::Sub>,
       .grad = subGrad},
      {.name = "mul",
       .doc = "lhs · rhs",
       .operands = kBinary,
       .traits = kElementwise | kCommutative,
       .scalar = binary<Leaf::Mul>,
       .grad = mulGrad},
      {.name = "div",
       .doc = "lhs / rhs",
       .operands = kBinary,
       .traits = kElementwise,
       .scalar = binary<Leaf::Div>,
       .floatOnly = true,
       .grad = divGrad},
      {.name = "pow",
       .doc = "lhs to the power of rhs",
       .operands = kBinary,
       .traits = kElementwise,
       .scalar = binary<Leaf::Pow>,
       .floatOnly = true,
       .grad = powGrad},
      {.name = "maximum",
       .doc = "the larger one; NaN if either is; the gradient of equal ones goes to lhs",
       .operands = kBinary,
       .traits = kElementwise,
       .scalar = binary<Leaf::Maximum>,
       .grad = extremumGrad<true>},
      {.name = "minimum",
       .doc = "the smaller one; NaN if either is; the gradient of equal ones goes to lhs",
       .operands = kBinary,
       .traits = kElementwise,
       .scalar = binary<Leaf::Minimum>,
       .grad = extremumGrad<false>},
      {.name = "neg",
       .doc = "-x",
       .operands = kUnary,
       .traits = kElementwise | kCheap,
       .scalar = unary<Leaf::Neg>,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.neg(g.dy())); }},
      {.name = "abs",
       .doc = "|x|; its gradient at 0 is 0",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Abs>,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.mul(g.dy(), g.b.create("sign", {g.x(0)}))); }},
      {.name = "sign",
       .doc = "-1, 0 or 1; NaN for NaN; its gradient is 0",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Sign>,
       .floatOnly = true,
       .grad = noGradient},
      {.name = "floor",
       .doc = "the largest integer that is not above x; its gradient is 0",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Floor>,
       .floatOnly = true,
       .grad = noGradient},
      {.name = "exp",
       .doc = "e to the power of x",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Exp>,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.mul(g.dy(), g.y())); }},
      {.name = "log",
       .doc = "natural logarithm",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Log>,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.div(g.dy(), g.x(0))); }},
      {.name = "sqrt",
       .doc = "square root",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = unary<Leaf::Sqrt>,
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.div(g.b.scale(g.dy(), 0.5), g.y())); }},
      {.name = "rsqrt",
       .doc = "1 / sqrt(x)",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return 1.0 / apply(Leaf::Sqrt, b.arg(0)); },
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.div(g.b.mul(g.b.scale(g.dy(), -0.5), g.y()), g.x(0))); }},
      {.name = "square",
       .doc = "x · x",
       .operands = kUnary,
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return b.arg(0) * b.arg(0); },
       .floatOnly = true,
       .grad = [](GradArgs &g) { g.to(0, g.b.mul(g.b.scale(g.dy(), 2), g.x(0))); }},
  };
  return rows;
}
