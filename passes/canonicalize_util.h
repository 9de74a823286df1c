// The rules of canonicalize, as data.
//
// A rule changes no bit of any result, for every input: not x * 0 == 0 (NaN, -0.0), not (x + y) + z == x + (y + z),
// and x + 0 == x only where 0 is -0.0. The one licence: which NaN a NaN is may change.
#pragma once

#include <span>
#include <string_view>

#include "passes/rewrite_util.h"

namespace gradc {

/// An op that a rule looks at.
class Match {
public:
  Match(Function &fn, OpId op, Builder &b) : b(b), fn_(fn), op_(op) {}

  Builder &b;
  ValueId x(size_t operand = 0) const { return fn_[op_].operands[operand]; }
  size_t numOperands() const { return fn_[op_].operands.size(); }
  const OpDef &def() const { return *fn_[op_].def; }
  const Dict &attrs() const { return fn_[op_].attrs; } // as written: defaults left out
  Type type() const { return fn_.type(fn_[op_].results[0]); }
  Type type(ValueId v) const { return fn_.type(v); }

  /// True where v is the result of that op.
  bool is(ValueId v, std::string_view op) const { return isResultOf(fn_, v, op); }
  /// Operand and attributes of the op that made v.
  ValueId operand(ValueId v, size_t i = 0) const { return fn_[fn_[v].def].operands[i]; }
  size_t operands(ValueId v) const { return fn_[v].def == kNoOp ? 0 : fn_[fn_[v].def].operands.size(); }
  Dict attrs(ValueId v) const { return withDefaults(*fn_[fn_[v].def].def, fn_[fn_[v].def].attrs); }
  /// True where every element of v is `value`, bit for bit (0.0 is not -0.0).
  bool isSplat(ValueId v, double value) const {
    auto splat = splatOf(fn_, v);
    return splat && *splat == Tensor::scalar(fn_.type(v).dtype, value);
  }
  std::optional<Tensor> splat(ValueId v) const { return splatOf(fn_, v); }
  bool isConstant(ValueId v) const { return constantOf(fn_, v) || splatOf(fn_, v); }

private:
  Function &fn_;
  OpId op_;
};

struct CanonicalRule {
  std::string_view name;
  std::vector<std::string_view> roots; // ops that it looks at; empty: all
  std::string_view doc;                // "x * 1 == x"
  ValueId (*apply)(Match &m);          // what stands for the op's only result, or kNoValue
};

std::span<const CanonicalRule> canonicalArithmeticRules();
std::span<const CanonicalRule> canonicalMovementRules();

} // namespace gradc
