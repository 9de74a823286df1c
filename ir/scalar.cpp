#include "ir/scalar.h"

#include <cmath>
#include <limits>

#include "support/check.h"

namespace gradc {

namespace {
struct LeafRow {
  std::string_view name;
  int arity;
};
constexpr LeafRow kLeaves[] = {
    {"operand", 0}, {"constant", 0}, {"add", 2}, {"sub", 2},   {"mul", 2},  {"div", 2}, {"pow", 2},
    {"maximum", 2}, {"minimum", 2},  {"neg", 1}, {"abs", 1},   {"sign", 1}, {"exp", 1}, {"log", 1},
    {"sqrt", 1},    {"tanh", 1},     {"erf", 1}, {"floor", 1}, {"eq", 2},   {"ne", 2},  {"lt", 2},
    {"le", 2},      {"gt", 2},       {"ge", 2},  {"and", 2},   {"or", 2},   {"not", 1}, {"select", 3}};
static_assert(std::size(kLeaves) == static_cast<size_t>(Leaf::Select) + 1);

double maximum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::numeric_limits<double>::quiet_NaN();
  return a < b ? b : a;
}
double minimum(double a, double b) {
  if (std::isnan(a) || std::isnan(b))
    return std::numeric_limits<double>::quiet_NaN();
  return b < a ? b : a;
}
double sign(double a) {
  if (std::isnan(a))
    return a;
  return a > 0 ? 1 : a < 0 ? -1 : 0;
}

double applyLeaf(Leaf leaf, double a, double b, double c) {
  switch (leaf) {
  case Leaf::Operand:
  case Leaf::Constant: break;
  case Leaf::Add: return a + b;
  case Leaf::Sub: return a - b;
  case Leaf::Mul: return a * b;
  case Leaf::Div: return a / b;
  case Leaf::Pow: return std::pow(a, b);
  case Leaf::Maximum: return maximum(a, b);
  case Leaf::Minimum: return minimum(a, b);
  case Leaf::Neg: return -a;
  case Leaf::Abs: return std::fabs(a);
  case Leaf::Sign: return sign(a);
  case Leaf::Exp: return std::exp(a);
  case Leaf::Log: return std::log(a);
  case Leaf::Sqrt: return std::sqrt(a);
  case Leaf::Tanh: return std::tanh(a);
  case Leaf::Erf: return std::erf(a);
  case Leaf::Floor: return std::floor(a);
  case Leaf::Eq: return a == b;
  case Leaf::Ne: return a != b;
  case Leaf::Lt: return a < b;
  case Leaf::Le: return a <= b;
  case Leaf::Gt: return a > b;
  case Leaf::Ge: return a >= b;
  case Leaf::And: return a != 0 && b != 0;
  case Leaf::Or: return a != 0 || b != 0;
  case Leaf::Not: return a == 0;
  case Leaf::Select: return a != 0 ? b : c;
  }
  CHECK(false, "leaf {} is no function", static_cast<int>(leaf));
}

Scalar lift(ScalarBuilder *b, double value) { return b->constant(value); }
} // namespace

int leafArity(Leaf leaf) { return kLeaves[static_cast<size_t>(leaf)].arity; }
std::string_view leafName(Leaf leaf) { return kLeaves[static_cast<size_t>(leaf)].name; }

Scalar ScalarBuilder::arg(int number) {
  program_.nodes.push_back({.leaf = Leaf::Operand, .number = number});
  return {this, static_cast<int>(program_.nodes.size()) - 1};
}

Scalar ScalarBuilder::constant(double value) {
  program_.nodes.push_back({.leaf = Leaf::Constant, .value = value});
  return {this, static_cast<int>(program_.nodes.size()) - 1};
}

Scalar ScalarBuilder::make(Leaf leaf, Scalar a, Scalar b, Scalar c) {
  CHECK(leafArity(leaf) == (a.node >= 0) + (b.node >= 0) + (c.node >= 0), "{}", leafName(leaf));
  program_.nodes.push_back({.leaf = leaf, .args = {a.node, b.node, c.node}});
  return {this, static_cast<int>(program_.nodes.size()) - 1};
}

ScalarProgram ScalarBuilder::take(Scalar result) && {
  if (result.node != static_cast<int>(program_.nodes.size()) - 1)
    program_.nodes.resize(result.node + 1); // nodes only refer to those above, so what follows is dead
  return std::move(program_);
}

Scalar apply(Leaf leaf, Scalar a) { return a.builder->make(leaf, a); }
Scalar apply(Leaf leaf, Scalar a, Scalar b) { return a.builder->make(leaf, a, b); }
Scalar select(Scalar condition, Scalar a, Scalar b) { return a.builder->make(Leaf::Select, condition, a, b); }
Scalar operator+(Scalar a, Scalar b) { return apply(Leaf::Add, a, b); }
Scalar operator-(Scalar a, Scalar b) { return apply(Leaf::Sub, a, b); }
Scalar operator*(Scalar a, Scalar b) { return apply(Leaf::Mul, a, b); }
Scalar operator/(Scalar a, Scalar b) { return apply(Leaf::Div, a, b); }
Scalar operator-(Scalar a) { return apply(Leaf::Neg, a); }
Scalar operator+(Scalar a, double b) { return a + lift(a.builder, b); }
Scalar operator+(double a, Scalar b) { return lift(b.builder, a) + b; }
Scalar operator-(Scalar a, double b) { return a - lift(a.builder, b); }
Scalar operator-(double a, Scalar b) { return lift(b.builder, a) - b; }
Scalar operator*(Scalar a, double b) { return a * lift(a.builder, b); }
Scalar operator*(double a, Scalar b) { return lift(b.builder, a) * b; }
Scalar operator/(double a, Scalar b) { return lift(b.builder, a) / b; }

double evaluate(const ScalarProgram &program, std::span<const double> operands) {
  double values[64];
  CHECK(program.nodes.size() <= std::size(values));
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode &node = program.nodes[i];
    auto argument = [&](int k) { return node.args[k] >= 0 ? values[node.args[k]] : 0.0; };
    if (node.leaf == Leaf::Operand)
      values[i] = operands[node.number];
    else if (node.leaf == Leaf::Constant)
      values[i] = node.value;
    else
      values[i] = applyLeaf(node.leaf, argument(0), argument(1), argument(2));
  }
  return values[program.nodes.size() - 1];
}

} // namespace gradc
