// Computes ops whose operands are all constants, where the interpreter gives the very bits that compiled code
// would give.
//
//   %a = constant() {value = splat(3.0)} : f32[]
//   %b = constant() {value = splat(0.5)} : f32[]
//   %c = mul(%a, %b) : f32[]
// becomes (the operands stay for dce)
//   %c = constant() {value = splat(1.5)} : f32[]
//
// Folded: movements; casts; elementwise ops whose only rounding is one +, -, *, / or square root at the end: the
// interpreter computes in f64, and rounding twice is harmless for those (Figueroa, "When is double rounding
// innocuous?", 1995: 53 >= 2 * 24 + 2). Not folded: exp and the like (libm is not our polynomial), results that
// hold a NaN (whose sign and payload are the machine's), what would take more than `max_bytes` (a broadcast is
// smaller than what it makes), random and ordered ops.
//
// Runs after canonicalize, which brings the work on broadcast scalars down to scalars; dce comes after.
#include <algorithm>
#include <cmath>

#include "ir/interpreter.h"
#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

bool rounds(Leaf leaf) {
  return leaf == Leaf::Add || leaf == Leaf::Sub || leaf == Leaf::Mul || leaf == Leaf::Div ||
         leaf == Leaf::Sqrt;
}

bool isApproximate(Leaf leaf) {
  return leaf == Leaf::Exp || leaf == Leaf::Log || leaf == Leaf::Tanh || leaf == Leaf::Erf ||
         leaf == Leaf::Pow;
}

/// Whether evaluation in f64, rounded once at the end, gives the bits of evaluation in the operands' type.
bool isExact(const OpDef &def, const Dict &attrs, DType dtype) {
  ScalarProgram program = scalarProgram(def, attrs);
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode &node = program.nodes[i];
    if (isApproximate(node.leaf))
      return false;
    if (dtype != DType::F32)
      continue;
    if (rounds(node.leaf) && i + 1 != program.nodes.size())
      return false;
    if (node.leaf == Leaf::Constant && static_cast<double>(static_cast<float>(node.value)) != node.value)
      return false;
  }
  return true;
}

bool hasNan(const Tensor &tensor) {
  if (!isFloat(tensor.type().dtype))
    return false;
  for (int64_t i = 0; i < tensor.elements(); ++i)
    if (std::isnan(tensor.get(i)))
      return true;
  return false;
}

class Folder {
public:
  Folder(const Function &fn, int64_t maxBytes) : fn_(fn), maxBytes_(maxBytes) {}

  /// What the op computes, if it may be folded.
  std::optional<Tensor> fold(OpId op) const {
    const OpDef &def = *fn_[op].def;
    if (def.name == "broadcast" || fn_[op].operands.empty() || !isFoldable(op))
      return std::nullopt;
    return evaluate(op);
  }

private:
  bool isFoldable(OpId op) const {
    const OpData &data = fn_[op];
    const OpDef &def = *data.def;
    if (def.is(kOrdered) || def.is(kStructural) || data.results.size() != 1)
      return false;
    if (def.is(kMovement) || def.name == "cast")
      return true;
    return def.is(kElementwise) && isExact(def, data.attrs, fn_.type(data.operands.back()).dtype);
  }

  bool fits(ValueId v) const {
    const Type &type = fn_.type(v);
    return type.layout.empty() && type.elements() <= maxBytes_ / static_cast<int64_t>(dtypeSize(type.dtype));
  }

  /// The value of an operand: a constant, or movements of one.
  std::optional<Tensor> valueOf(ValueId v) const {
    if (const Tensor *tensor = constantOf(fn_, v))
      return *tensor;
    OpId def = fn_[v].def;
    return def != kNoOp && fn_[def].def->is(kMovement) ? evaluate(def) : std::nullopt;
  }

  std::optional<Tensor> evaluate(OpId op) const {
    const OpData &data = fn_[op];
    if (data.operands.empty() || !fits(data.results[0]) || !isFoldable(op))
      return std::nullopt;
    std::vector<Tensor> values;
    for (ValueId v : data.operands) {
      std::optional<Tensor> value = valueOf(v);
      if (!value)
        return std::nullopt;
      values.push_back(std::move(*value));
    }
    std::vector<const Tensor *> operands;
    for (const Tensor &value : values)
      operands.push_back(&value);
    Tensor result = evalOp(fn_, op, operands)[0];
    if (hasNan(result))
      return std::nullopt;
    return result;
  }

  const Function &fn_;
  int64_t maxBytes_;
};

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= rewriteOps(*fn, [&](OpId op, Builder &b) -> std::optional<std::vector<ValueId>> {
      std::optional<Tensor> value = Folder(*fn, context.options.i64("max_bytes")).fold(op);
      if (!value)
        return std::nullopt;
      ++context.statistics["ops folded"];
      return std::vector{b.constant(std::move(*value))};
    });
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(constant_fold) {
  return {.name = "constant-fold",
          .doc = "compute ops of constants where the bits are sure",
          .options = {{"max_bytes", "the largest result to make a constant of", int64_t{4096}}},
          .run = run};
}
