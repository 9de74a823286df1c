// Rules about elementwise ops.
#include <cmath>

#include "passes/canonicalize_util.h"

namespace gradc {
namespace {

bool isFloatType(const Match &m) { return isFloat(m.type().dtype); }

ValueId addZero(Match &m) { return m.isSplat(m.x(1), isFloatType(m) ? -0.0 : 0.0) ? m.x(0) : kNoValue; }

ValueId rightZero(Match &m) { return m.isSplat(m.x(1), 0.0) ? m.x(0) : kNoValue; }

ValueId rightOne(Match &m) { return m.isSplat(m.x(1), 1) ? m.x(0) : kNoValue; }

ValueId integerZero(Match &m) { return !isFloatType(m) && m.isSplat(m.x(1), 0) ? m.x(1) : kNoValue; }

ValueId divPowerOfTwo(Match &m) {
  auto divisor = m.splat(m.x(1));
  if (!divisor || !isFloatType(m))
    return kNoValue;
  int exponent = 0;
  double value = divisor->get(0);
  // Far from the ends of f32's range, so that neither number is subnormal.
  if (value == 1 || std::frexp(std::abs(value), &exponent) != 0.5 || std::abs(exponent) > 100)
    return kNoValue;
  return m.b.mul(m.x(0), m.b.splat(m.type(), 1 / value));
}

ValueId addNeg(Match &m) {
  if (m.is(m.x(1), "neg"))
    return m.b.sub(m.x(0), m.operand(m.x(1)));
  return m.is(m.x(0), "neg") ? m.b.sub(m.x(1), m.operand(m.x(0))) : kNoValue;
}

ValueId subNeg(Match &m) { return m.is(m.x(1), "neg") ? m.b.add(m.x(0), m.operand(m.x(1))) : kNoValue; }

ValueId negNegOperands(Match &m) {
  if (!m.is(m.x(0), "neg") || !m.is(m.x(1), "neg"))
    return kNoValue;
  return m.b.create(m.def().name, {m.operand(m.x(0)), m.operand(m.x(1))});
}

/// f(f(x)) == x
ValueId involution(Match &m) { return m.is(m.x(), m.def().name) ? m.operand(m.x()) : kNoValue; }

/// f(f(x)) == f(x)
ValueId idempotent(Match &m) { return m.is(m.x(), m.def().name) ? m.x() : kNoValue; }

ValueId evenOfNeg(Match &m) {
  return m.is(m.x(), "neg") ? m.b.create(m.def().name, {m.operand(m.x())}) : kNoValue;
}

ValueId sameOperands(Match &m) { return m.x(0) == m.x(1) ? m.x(0) : kNoValue; }

ValueId maximumLowest(Match &m) { return m.isSplat(m.x(1), -INFINITY) && isFloatType(m) ? m.x(0) : kNoValue; }
ValueId minimumHighest(Match &m) { return m.isSplat(m.x(1), INFINITY) && isFloatType(m) ? m.x(0) : kNoValue; }

ValueId andTrue(Match &m) { return m.isSplat(m.x(1), 1) ? m.x(0) : kNoValue; }
ValueId andFalse(Match &m) { return m.isSplat(m.x(1), 0) ? m.x(1) : kNoValue; }

ValueId selectConstant(Match &m) {
  auto condition = m.splat(m.x(0));
  return condition ? m.x(condition->getInt(0) ? 1 : 2) : kNoValue;
}
ValueId selectSame(Match &m) { return m.x(1) == m.x(2) ? m.x(1) : kNoValue; }
ValueId selectNot(Match &m) {
  return m.is(m.x(0), "not") ? m.b.select(m.operand(m.x(0)), m.x(2), m.x(1)) : kNoValue;
}

ValueId castSame(Match &m) { return m.type(m.x()) == m.type() ? m.x() : kNoValue; }

/// Every value of `from` is a value of `to`.
bool widens(DType from, DType to) {
  if (to == DType::F64)
    return from != DType::I64;
  if (to == DType::F32)
    return from == DType::BF16 || from == DType::F16 || from == DType::I8 || from == DType::U8 ||
           from == DType::Bool;
  if (to == DType::I64 || to == DType::I32)
    return from == DType::Bool || from == DType::I8 || from == DType::U8 || from == DType::I32;
  return false;
}

ValueId castBack(Match &m) {
  if (!m.is(m.x(), "cast"))
    return kNoValue;
  ValueId x = m.operand(m.x());
  return m.type(x) == m.type() && widens(m.type().dtype, m.type(m.x()).dtype) ? x : kNoValue;
}

ValueId constantRight(Match &m) {
  if (m.isConstant(m.x(1)) || !m.isConstant(m.x(0)))
    return kNoValue;
  return m.b.create(m.def().name, {m.x(1), m.x(0)});
}

/// Elementwise ops of operands that are all repeated in the same way do the work once.
ValueId elementwiseOfBroadcasts(Match &m) {
  if (!m.def().is(kElementwise) || m.numOperands() == 0)
    return kNoValue;
  std::vector<ValueId> small;
  for (size_t i = 0; i < m.numOperands(); ++i) {
    if (!m.is(m.x(i), "broadcast") || !(m.attrs(m.x(i)) == m.attrs(m.x(0))))
      return kNoValue;
    small.push_back(m.operand(m.x(i)));
  }
  std::vector<int64_t> axes = m.attrs(m.x(0)).ints("axes");
  return m.b.broadcast(m.b.create(m.def().name, small, m.attrs()), m.type().shape, axes);
}

} // namespace

std::span<const CanonicalRule> canonicalArithmeticRules() {
  static const CanonicalRule rules[] = {
      {"constant-right", {"add", "mul", "and", "or"}, "c + x == x + c", constantRight},
      {"add-zero", {"add"}, "x + -0.0 == x; for integers x + 0 == x", addZero},
      {"sub-zero", {"sub"}, "x - 0 == x", rightZero},
      {"mul-one", {"mul"}, "x * 1 == x", rightOne},
      {"div-one", {"div"}, "x / 1 == x", rightOne},
      {"mul-zero-integer", {"mul"}, "x * 0 == 0, for integers", integerZero},
      {"div-power-of-two", {"div"}, "x / 2^k == x * 2^-k", divPowerOfTwo},
      {"add-neg", {"add"}, "x + (-y) == x - y", addNeg},
      {"sub-neg", {"sub"}, "x - (-y) == x + y", subNeg},
      {"mul-neg-neg", {"mul", "div"}, "(-x) * (-y) == x * y", negNegOperands},
      {"neg-neg", {"neg", "not"}, "-(-x) == x", involution},
      {"idempotent", {"abs", "relu", "floor", "sign"}, "|(|x|)| == |x|", idempotent},
      {"even-of-neg", {"abs", "square"}, "|-x| == |x|", evenOfNeg},
      {"same-operands", {"maximum", "minimum", "and", "or"}, "max(x, x) == x", sameOperands},
      {"maximum-lowest", {"maximum"}, "max(x, -inf) == x", maximumLowest},
      {"minimum-highest", {"minimum"}, "min(x, inf) == x", minimumHighest},
      {"and-true", {"and"}, "x and true == x", andTrue},
      {"and-false", {"and"}, "x and false == false", andFalse},
      {"or-false", {"or"}, "x or false == x", rightZero},
      {"or-true",
       {"or"},
       "x or true == true",
       [](Match &m) { return m.isSplat(m.x(1), 1) ? m.x(1) : kNoValue; }},
      {"select-constant", {"select"}, "select(true, x, y) == x", selectConstant},
      {"select-same", {"select"}, "select(c, x, x) == x", selectSame},
      {"select-not", {"select"}, "select(not c, x, y) == select(c, y, x)", selectNot},
      {"cast-same", {"cast"}, "cast(x) to x's own type == x", castSame},
      {"cast-back", {"cast"}, "cast(cast(x)) == x, where the type between holds all values of x's", castBack},
      {"elementwise-of-broadcasts",
       {},
       "f(broadcast(x), broadcast(y)) == broadcast(f(x, y))",
       elementwiseOfBroadcasts},
  };
  return rules;
}

} // namespace gradc
