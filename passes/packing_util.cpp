#include "passes/packing_util.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// What elementwise ops tie together: if one of these values is in n16, all should be. A constant or a repeated scalar
/// ties nothing: each layout has its own.
class Ties {
public:
  explicit Ties(const Function &fn) : fn_(fn), uses_(fn.numValues()) {
    for (OpId op : fn.body().ops)
      for (ValueId v : fn[op].operands)
        uses_[index(v)].push_back(op);
  }

  bool isFree(ValueId v) const {
    const OpId def = fn_[v].def;
    return def != kNoOp && (fn_[def].operands.empty() || fn_[def].def->is(kCheap)) && !isElementwise(def);
  }

  const std::vector<OpId> &uses(ValueId v) const { return uses_[index(v)]; }
  bool isElementwise(OpId op) const { return op != kNoOp && fn_[op].def->is(kElementwise); }

  /// The values that are tied to v, and v.
  std::vector<ValueId> of(ValueId v) const {
    std::vector<bool> seen(fn_.numValues());
    std::vector<ValueId> tied{v};
    seen[index(v)] = true;
    for (size_t i = 0; i < tied.size(); ++i) {
      std::vector<OpId> ops = uses(tied[i]);
      ops.push_back(fn_[tied[i]].def);
      for (OpId op : ops) {
        if (!isElementwise(op))
          continue;
        for (const std::vector<ValueId> *values : {&fn_[op].operands, &fn_[op].results})
          for (ValueId other : *values)
            if (!seen[index(other)] && !isFree(other) && fn_.type(other).shape == fn_.type(v).shape) {
              seen[index(other)] = true;
              tied.push_back(other);
            }
      }
    }
    return tied;
  }

private:
  const Function &fn_;
  std::vector<std::vector<OpId>> uses_; // by value
};

bool isMatmul(const Function &fn, OpId op) { return op != kNoOp && fn[op].def->name == "matmul"; }

/// The gradient of a layer's weights, dY^T X.
bool isWeightGradient(const Function &fn, OpId op) {
  return isMatmul(fn, op) && fn[op].attrs.flag("transpose_a") && !fn[op].attrs.flag("transpose_b") &&
         fn.type(fn[op].operands[1]).rank() == 2;
}

bool isBatch(const Function &fn, ValueId v, int64_t batch) {
  const Shape &shape = fn.type(v).shape;
  return shape.rank() == 2 && shape[0] == batch;
}

/// A batch by v, for the layer's result or the gradient of its input.
bool isProductWith(const Function &fn, OpId op, ValueId v, int64_t batch) {
  return isMatmul(fn, op) && fn[op].operands[1] == v && fn[op].operands[0] != v &&
         !fn[op].attrs.flag("transpose_a") && isBatch(fn, fn[op].operands[0], batch);
}

/// Whether kernels have n16 for all that makes v and that reads it.
bool suits(const Function &fn, const Ties &ties, ValueId v, int64_t batch) {
  const OpId def = fn[v].def;
  const bool made = def == kNoOp || ties.isElementwise(def) ||
                    (isWeightGradient(fn, def) && isBatch(fn, fn[def].operands[1], batch));
  return made && fn.type(v).dtype == DType::F32 && std::ranges::all_of(ties.uses(v), [&](OpId op) {
           return ties.isElementwise(op) || isProductWith(fn, op, v, batch);
         });
}

} // namespace

bool packingPays(const Type &weights, int64_t batch) {
  // A level-2 cache keeps smaller weights from one kernel to the next, and with more examples multiply-adds hide what
  // memory takes.
  constexpr int64_t kLarge = 2 << 20, kMostExamples = 32;
  return batch > kLanes / 2 && batch <= kMostExamples && weights.rank() == 2 && weights.dtype == DType::F32 &&
         weights.shape[0] % kLanes == 0 && storageBytes(weights) >= kLarge;
}

VariableNames variablesToPack(const Function &fn, int64_t batch) {
  VariableNames packed;
  const Ties ties(fn);
  for (ValueId arg : fn.body().args) {
    const SymbolRef *variable = variableOf(fn[arg].attrs);
    if (!variable || !packingPays(fn.type(arg), batch) || packed.contains(variable->name) ||
        std::ranges::none_of(ties.uses(arg), [&](OpId op) { return isProductWith(fn, op, arg, batch); }))
      continue;
    const std::vector<ValueId> tied = ties.of(arg);
    if (std::ranges::all_of(tied, [&](ValueId v) { return suits(fn, ties, v, batch); }))
      for (ValueId v : tied)
        if (const SymbolRef *other = variableOf(fn[v].attrs))
          packed.insert(other->name);
  }
  return packed;
}

std::vector<bool> valuesInPackedForm(const Function &fn, const VariableNames &packed) {
  std::vector<bool> form(fn.numValues());
  const Ties ties(fn);
  for (ValueId arg : fn.body().args)
    if (const SymbolRef *variable = variableOf(fn[arg].attrs); variable && packed.contains(variable->name))
      for (ValueId v : ties.of(arg))
        if (v == arg || ties.isElementwise(fn[v].def) || isWeightGradient(fn, fn[v].def))
          form[index(v)] = true;
  return form;
}

} // namespace gradc
