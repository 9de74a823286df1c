// Elementwise ops: their scalar programs leaf by leaf, and casts.
#include <algorithm>

#include "codegen/cuda/element.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

bool isComparison(Leaf leaf) { return leaf >= Leaf::Eq && leaf <= Leaf::Ge; }

std::string_view comparison(Leaf leaf) {
  constexpr std::string_view signs[] = {"==", "!=", "<", "<=", ">", ">="};
  return signs[static_cast<size_t>(leaf) - static_cast<size_t>(Leaf::Eq)];
}

std::string binary(const std::string &a, std::string_view sign, const std::string &b) {
  return fmt::format("{} {} {}", cudaOperand(a), sign, cudaOperand(b));
}

/// A function of f32 is the prelude's; one of f64 the language's, but for pow.
std::string elementary(std::string_view name, DType dtype, std::span<const std::string> args) {
  const std::string callee = std::string(name) + (dtype == DType::F32 ? "_f32" : name == "pow" ? "_f64" : "");
  return args.size() == 1 ? fmt::format("{}({})", callee, args[0])
                          : fmt::format("{}({}, {})", callee, args[0], args[1]);
}

/// floorf of f32, floor of f64.
std::string rounded(std::string_view name, DType dtype, const std::string &x) {
  return fmt::format("{}{}({})", name, dtype == DType::F32 ? "f" : "", x);
}

/// A number comes first, as the CPU's code has it: which of two equal zeros is the result depends on the order.
std::string extremum(std::string_view name, std::string a, std::string b) {
  if (isCudaNumber(b))
    std::swap(a, b);
  return fmt::format("{}({}, {})", name, a, b);
}

std::string arithmetic(Leaf leaf, DType dtype, std::span<const std::string> args) {
  const bool real = isFloat(dtype);
  auto sum = [&](std::string_view sign, std::string_view wrapping) {
    return real ? binary(args[0], sign, args[1]) : fmt::format("{}({}, {})", wrapping, args[0], args[1]);
  };
  switch (leaf) {
  case Leaf::Add: return sum("+", "wrap_add");
  case Leaf::Sub: return sum("-", "wrap_sub");
  case Leaf::Mul: return sum("*", "wrap_mul");
  case Leaf::Div: return binary(args[0], "/", args[1]);
  case Leaf::Pow: return elementary("pow", dtype, args);
  case Leaf::Maximum: return extremum("maximum", args[0], args[1]);
  case Leaf::Minimum: return extremum("minimum", args[0], args[1]);
  case Leaf::Neg: return real ? "-" + cudaOperand(args[0]) : fmt::format("wrap_sub(0, {})", args[0]);
  case Leaf::Abs: return real ? rounded("fabs", dtype, args[0]) : fmt::format("abs({})", args[0]);
  case Leaf::Sign: return fmt::format("sign({})", args[0]);
  case Leaf::Exp: return elementary("exp", dtype, args);
  case Leaf::Log: return elementary("log", dtype, args);
  case Leaf::Sqrt: return rounded("sqrt", dtype, args[0]);
  case Leaf::Tanh: return elementary("tanh", dtype, args);
  case Leaf::Erf: return elementary("erf", dtype, args);
  case Leaf::Floor: return rounded("floor", dtype, args[0]);
  case Leaf::And: return binary(args[0], "&&", args[1]);
  case Leaf::Or: return binary(args[0], "||", args[1]);
  case Leaf::Not: return "!" + cudaOperand(args[0]);
  default: CHECK(false, "leaf {} is no function", leafName(leaf));
  }
}

/// An expression, and whether it is a bool: comparisons give bools, which are 0 or 1 where a number is wanted.
struct Expression {
  std::string text;
  bool isBool = false;
};
std::string asNumber(const Expression &x, DType dtype) {
  if (!x.isBool || dtype == DType::Bool)
    return x.text;
  return fmt::format("({} ? {} : {})", x.text, cudaLiteral(dtype, 1), cudaLiteral(dtype, 0));
}
std::string asBool(const Expression &x, DType dtype) {
  return x.isBool ? x.text : cudaCast(x.text, dtype, DType::Bool);
}

Expression applied(Leaf leaf, DType dtype, std::span<const Expression> args) {
  if (leaf == Leaf::Select)
    return {fmt::format("{} ? {} : {}", cudaOperand(asBool(args[0], dtype)),
                        cudaOperand(asNumber(args[1], dtype)), cudaOperand(asNumber(args[2], dtype))),
            dtype == DType::Bool};
  std::vector<std::string> texts;
  for (const Expression &arg : args)
    texts.push_back(asNumber(arg, dtype));
  return {cudaLeaf(leaf, dtype, texts), isComparison(leaf) || dtype == DType::Bool};
}

/// How often each node of a program is used.
std::vector<int> uses(const ScalarProgram &program) {
  std::vector<int> count(program.nodes.size());
  for (const ScalarNode &node : program.nodes)
    for (int i = 0; i < leafArity(node.leaf); ++i)
      ++count[static_cast<size_t>(node.args[i])];
  return count;
}

} // namespace

std::string cudaLeaf(Leaf leaf, DType dtype, std::span<const std::string> args) {
  return isComparison(leaf) ? binary(args[0], comparison(leaf), args[1]) : arithmetic(leaf, dtype, args);
}

std::string cudaCast(std::string_view value, DType from, DType to) {
  const std::string x(value);
  if (from == to)
    return x;
  if (from == DType::BF16)
    return cudaCast(fmt::format("f32_from_bf16({})", x), DType::F32, to);
  if (to == DType::BF16)
    return fmt::format("bf16_from_f32({})", cudaCast(x, from, DType::F32));
  if (from == DType::F16)
    return cudaCast(fmt::format("f32_from_f16({})", x), DType::F32, to);
  if (to == DType::F16)
    return from == DType::F64 ? fmt::format("f16_from_f64({})", x)
                              : fmt::format("f16_from_f32({})", cudaCast(x, from, DType::F32));
  if (to == DType::Bool)
    return fmt::format("{} != {}", cudaOperand(x), cudaLiteral(from, 0));
  if (from == DType::Bool)
    return fmt::format("({} ? {} : {})", cudaOperand(x), cudaLiteral(to, 1), cudaLiteral(to, 0));
  if (isFloat(from) && isInteger(to)) // truncates, saturates, NaN becomes 0
    return fmt::format("to_{}({})", dtypeName(to), x);
  return fmt::format("({}){}", cudaType(to), cudaOperand(x));
}

std::string CudaElements::elementwise(OpId op, const CudaIndices &at) {
  const OpData &data = fn[op];
  const DType dtype = fn.type(data.operands.back()).dtype, result = fn.type(data.results[0]).dtype;
  const ScalarProgram program = scalarProgram(*data.def, withDefaults(*data.def, data.attrs));
  const std::vector<int> used = uses(program);
  std::vector<std::string> operands;
  for (ValueId operand : data.operands)
    operands.push_back(emit(operand, at));
  std::vector<Expression> values;
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode &node = program.nodes[i];
    if (node.leaf == Leaf::Operand) {
      const auto number = static_cast<size_t>(node.number);
      values.push_back({operands[number], fn.type(data.operands[number]).dtype == DType::Bool});
      continue;
    }
    if (node.leaf == Leaf::Constant) {
      values.push_back({cudaLiteral(dtype, node.value)});
      continue;
    }
    std::vector<Expression> args;
    for (int k = 0; k < leafArity(node.leaf); ++k)
      args.push_back(values[static_cast<size_t>(node.args[k])]);
    Expression value = applied(node.leaf, dtype, args);
    if (used[i] > 1) // what several leaves read gets a name
      value.text = text.define(value.isBool ? "bool" : cudaType(dtype), fn[data.results[0]].name, value.text);
    values.push_back(std::move(value));
  }
  const Expression &last = values.back();
  const std::string value = last.isBool ? asNumber(last, result) : cudaCast(last.text, dtype, result);
  if (last.text == value && (program.nodes.back().leaf == Leaf::Operand))
    return value; // nothing was computed
  return text.define(cudaType(result), fn[data.results[0]].name, value);
}

} // namespace gradc
