// Comparisons, boolean algebra and the choice between two values.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kBinary = {{"lhs"}, {"rhs"}};
constexpr uint32_t kTraits = kElementwise | kCheap;
constexpr std::string_view kNotSmooth = "its result is bool";

template <Leaf leaf> Scalar unary(ScalarBuilder &b, const Dict &) { return b.make(leaf, b.arg(0)); }
template <Leaf leaf> Scalar binary(ScalarBuilder &b, const Dict &) {
  return b.make(leaf, b.arg(0), b.arg(1));
}

void selectGrad(GradArgs &g) {
  ValueId zero = g.b.zeros(g.type(g.dy()));
  if (g.wants(1))
    g.to(1, g.b.select(g.x(0), g.dy(), zero));
  if (g.wants(2))
    g.to(2, g.b.select(g.x(0), zero, g.dy()));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(logical) {
  static const OpDef rows[] = {
      {.name = "eq",
       .doc = "lhs = rhs; false if either is NaN",
       .operands = kBinary,
       .traits = kTraits | kCommutative,
       .scalar = binary<Leaf::Eq>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "ne",
       .doc = "lhs ≠ rhs; true if either is NaN",
       .operands = kBinary,
       .traits = kTraits | kCommutative,
       .scalar = binary<Leaf::Ne>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "lt",
       .doc = "lhs < rhs; false if either is NaN",
       .operands = kBinary,
       .traits = kTraits,
       .scalar = binary<Leaf::Lt>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "le",
       .doc = "lhs ≤ rhs; false if either is NaN",
       .operands = kBinary,
       .traits = kTraits,
       .scalar = binary<Leaf::Le>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "gt",
       .doc = "lhs > rhs; false if either is NaN",
       .operands = kBinary,
       .traits = kTraits,
       .scalar = binary<Leaf::Gt>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "ge",
       .doc = "lhs ≥ rhs; false if either is NaN",
       .operands = kBinary,
       .traits = kTraits,
       .scalar = binary<Leaf::Ge>,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "and",
       .doc = "true where both are",
       .operands = kBinary,
       .traits = kTraits | kCommutative,
       .scalar = binary<Leaf::And>,
       .boolOperands = true,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "or",
       .doc = "true where one or both are",
       .operands = kBinary,
       .traits = kTraits | kCommutative,
       .scalar = binary<Leaf::Or>,
       .boolOperands = true,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "not",
       .doc = "true where x is false",
       .operands = {{"x"}},
       .traits = kTraits,
       .scalar = unary<Leaf::Not>,
       .boolOperands = true,
       .boolResult = true,
       .notDifferentiable = kNotSmooth},
      {.name = "select",
       .doc = "on_true where the condition holds, else on_false",
       .operands = {{"condition"}, {"on_true"}, {"on_false"}},
       .traits = kElementwise,
       .scalar = [](ScalarBuilder &b, const Dict &) { return select(b.arg(0), b.arg(1), b.arg(2)); },
       .grad = selectGrad},
  };
  return rows;
}
