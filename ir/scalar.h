// Scalar expressions: what an elementwise op does to one element, as data. The interpreter evaluates them in
// double with libm, the LLVM emitter and the CUDA printer translate them leaf by leaf; each leaf rounds once to
// the op's element type, so that fused and unfused code agree bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/attribute.h"

namespace gradc {

/// The leaf functions. Comparisons give 0 or 1 in the operands' type; the op's row says whether its result is
/// bool. Maximum and Minimum propagate NaN.
enum class Leaf : uint8_t {
  Operand,  // operand number `number`
  Constant, // `value`
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Maximum,
  Minimum,
  Neg,
  Abs,
  Sign,
  Exp,
  Log,
  Sqrt,
  Tanh,
  Erf,
  Floor,
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  And,
  Or,
  Not,
  Select, // a ? b : c
};
int leafArity(Leaf leaf);
std::string_view leafName(Leaf leaf);

struct ScalarNode {
  Leaf leaf = Leaf::Constant;
  int args[3] = {-1, -1, -1}; // nodes above this one
  int number = 0;
  double value = 0;
};

/// A straight-line program; the last node is the result.
struct ScalarProgram {
  std::vector<ScalarNode> nodes;
};

/// Records a ScalarProgram. Handles are cheap values with operators, so that a row reads like its formula:
/// `[](ScalarBuilder &b, const Dict &) { Scalar x = b.arg(0); return x / (1 + exp(-x)); }`
class ScalarBuilder;
struct Scalar {
  ScalarBuilder *builder = nullptr;
  int node = -1;
};

class ScalarBuilder {
public:
  Scalar arg(int number);
  Scalar constant(double value);
  Scalar make(Leaf leaf, Scalar a, Scalar b = {}, Scalar c = {});
  ScalarProgram take(Scalar result) &&;

private:
  ScalarProgram program_;
};

Scalar operator+(Scalar a, Scalar b);
Scalar operator-(Scalar a, Scalar b);
Scalar operator*(Scalar a, Scalar b);
Scalar operator/(Scalar a, Scalar b);
Scalar operator-(Scalar a);
Scalar operator+(Scalar a, double b);
Scalar operator+(double a, Scalar b);
Scalar operator-(Scalar a, double b);
Scalar operator-(double a, Scalar b);
Scalar operator*(Scalar a, double b);
Scalar operator*(double a, Scalar b);
Scalar operator/(double a, Scalar b);
Scalar apply(Leaf leaf, Scalar a);
Scalar apply(Leaf leaf, Scalar a, Scalar b);
Scalar select(Scalar condition, Scalar a, Scalar b);

/// The reference: double arithmetic and libm.
double evaluate(const ScalarProgram &program, std::span<const double> operands);

} // namespace gradc
