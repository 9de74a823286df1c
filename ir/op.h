// The op table: one row per op. Parser, printer, verifier, interpreter, autodiff, CSE, the JSON reader, the
// documentation and the JSON schema read the row; nothing else knows op names.
//
// A row lives in ir/ops/<file>.cpp, inside GRADC_OPS(<file>); the build collects the files. Adding an
// elementwise or composite op is one such file and its tests.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/ir.h"
#include "ir/scalar.h"

namespace gradc {

/// A rule's answer: a value, or the text of the error (lower case, no full stop) that the caller prints with
/// the op's place and name.
template <class T> using Rule = std::expected<T, std::string>;

enum class AttrKind : uint8_t {
  Bool,
  I64,
  F64,
  String,
  Keyword,
  DType,
  TypeAttr,
  Symbol,
  Ints,
  Dict,
  Dense,
  Any
};

struct AttrSpec {
  std::string_view name;
  AttrKind kind = AttrKind::I64;
  std::string_view doc;
  bool required = false;
  Attr defaultValue = {};                      // used when absent and not required; Unit means "no value"
  std::vector<std::string_view> keywords = {}; // the legal words of a Keyword
  double min = -std::numeric_limits<double>::infinity(); // for I64, F64 and each element of Ints, inclusive
  double max = std::numeric_limits<double>::infinity();
};

struct OperandSpec {
  std::string_view name;
  bool optional = false; // only trailing
  bool variadic = false; // only last: zero or more
};

enum Trait : uint32_t {
  kElementwise = 1u << 0, // same shape in and out, defined by `scalar`
  kCommutative = 1u << 1,
  kCheap = 1u << 2,    // fuse may compute it again instead of storing it
  kOrdered = 1u << 3,  // has an effect: never dropped, merged or reordered with another ordered op
  kMovement = 1u << 4, // only moves elements: each result element is one operand element (or a constant)
  kReduction = 1u << 5,
  kContraction = 1u << 6, // matmul and the convolutions
  kWindow = 1u << 7,      // window reductions and their gradients
  kStructural = 1u << 8,  // kernel, relayout: made by passes, not offered to model files
};

/// What `infer` and `verify` see: operand types, attributes with defaults filled in.
struct InferArgs {
  std::span<const Type> operands;
  const Dict &attrs;
};

/// What `eval` sees. Results have their types and hold zeros.
struct EvalArgs {
  std::span<const Tensor *const> operands;
  const Dict &attrs;
  std::span<Tensor> results;
};

/// What `grad` sees: reverse mode for one op. Gradients are added to operands with `to`.
class GradArgs {
public:
  GradArgs(Builder &b, const Function &fn, OpId op, std::span<const ValueId> resultGrads,
           std::span<const bool> wanted, std::span<ValueId> operandGrads)
      : b(b), fn_(fn), op_(op), resultGrads_(resultGrads), wanted_(wanted), operandGrads_(operandGrads) {}

  Builder &b;
  ValueId x(int operand) const { return fn_[op_].operands[operand]; } // an operand of the forward op
  ValueId y(int result = 0) const { return fn_[op_].results[result]; }
  size_t numOperands() const { return fn_[op_].operands.size(); }
  /// The gradient of a result; kNoValue where no path leads to it (only ops with several results see that).
  ValueId dy(int result = 0) const { return resultGrads_[result]; }
  bool wants(int operand) const { return wanted_[operand]; }
  /// Adds to the gradient of an operand; ignored where it is not wanted. Shapes must match.
  void to(int operand, ValueId gradient);
  Type type(ValueId v) const { return b.type(v); }
  const Dict &attrs() const { return attrs_; } // with defaults
  void setAttrs(Dict attrs) { attrs_ = std::move(attrs); }

private:
  const Function &fn_;
  OpId op_;
  Dict attrs_;
  std::span<const ValueId> resultGrads_;
  std::span<const bool> wanted_;
  std::span<ValueId> operandGrads_;
};

/// What `expand` sees: it builds the op out of others and returns one value per result.
struct ExpandArgs {
  Builder &b;
  std::span<const ValueId> operands;
  const Dict &attrs; // with defaults
  const OpDef &def;
  std::string_view name; // of the op's first result: streams and derived names use it
};

struct OpDef {
  std::string_view name;
  std::string_view doc; // one line, ends without a full stop
  std::vector<OperandSpec> operands;
  std::vector<AttrSpec> attrs = {};
  uint32_t traits = 0;
  int numResults = 1; // -1: as many as the region yields // -1: as many as the region yields
  int numRegions = 0;

  Rule<std::vector<Type>> (*infer)(const InferArgs &) = nullptr; // may be null only for elementwise ops
  void (*eval)(const EvalArgs &) = nullptr; // may be null where `scalar` or `expand` is set
  Scalar (*scalar)(ScalarBuilder &, const Dict &attrs) = nullptr;
  /// Elementwise rows: the operands must be of these kinds; the result is bool for comparisons.
  bool boolOperands = false, boolResult = false, floatOnly = false;
  void (*grad)(GradArgs &) = nullptr;
  std::string_view notDifferentiable = {}; // the reason, where grad is null and expand too
  std::vector<ValueId> (*expand)(ExpandArgs &) = nullptr;

  bool is(Trait trait) const { return (traits & trait) != 0; }
  const AttrSpec *attr(std::string_view attrName) const;
};

/// All rows, sorted by name. Immutable.
std::span<const OpDef *const> allOps();
const OpDef *findOp(std::string_view name);
/// As findOp, for names written in our own code (CHECK).
const OpDef &opDef(std::string_view name);

/// One attribute's value as the row wants it: its kind, keyword and range are checked, an integer literal is
/// accepted for f64 and a unit for a bool.
Rule<Attr> normalizeAttr(const OpDef &def, const AttrSpec &spec, const Attr &given);
/// Checks names, kinds, ranges and required attributes against the row, and returns the attributes in schema
/// order with values equal to the default left out. Integer literals are accepted for f64.
Rule<Dict> normalizeAttrs(const OpDef &def, const Dict &given);
/// The attributes with every default filled in.
Dict withDefaults(const OpDef &def, const Dict &attrs);
/// Result types: operand count, dtype classes and `infer`. The one place where an op's type rule is applied.
/// Layouts: an elementwise result takes its operands' common layout; other ops give row-major results unless
/// the op says otherwise; the verifier accepts any legal layout on a result.
Rule<std::vector<Type>> inferTypes(const OpDef &def, std::span<const Type> operands, const Dict &attrs);
/// The recorded scalar program of an elementwise op.
ScalarProgram scalarProgram(const OpDef &def, const Dict &attrs);

} // namespace gradc

/// GRADC_OPS(relu) { static const OpDef rows[] = {{…}}; return rows; }
#define GRADC_OPS(file)                                                                                      \
  namespace gradc::ops {                                                                                     \
  std::span<const OpDef> rows_##file();                                                                      \
  }                                                                                                          \
  std::span<const gradc::OpDef> gradc::ops::rows_##file()
