// Movement ops: each element of the result is one element of an operand, so each op is a map of the index.
#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/elements/element.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// What a rule needs of its op.
struct Op {
  ElementEmitter &m;
  const OpData &data;
  Dict attrs;

  Op(ElementEmitter &m, OpId id) : m(m), data(m.fn[id]), attrs(withDefaults(*data.def, data.attrs)) {}
  const Shape &shape() const { return m.fn.type(data.results[0]).shape; }
  const Shape &operandShape(int i = 0) const { return m.fn.type(data.operands[i]).shape; }
  std::vector<int64_t> steps(std::string_view name, int64_t fallback) const {
    return attrs.has(name) ? attrs.ints(name) : std::vector<int64_t>(operandShape().rank(), fallback);
  }
};

/// Which operand dimension each result dimension of a broadcast is, or -1 where it repeats.
std::vector<int> sources(const Op &op) {
  std::vector<int> from(op.shape().rank(), -1);
  std::vector<int64_t> axes = op.attrs.ints("axes");
  for (size_t i = 0; i < axes.size(); ++i)
    from[axes[i]] = static_cast<int>(i);
  return from;
}

llvm::Value *broadcast(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  std::vector<int> from = sources(op);
  LaneIndex inner;
  inner.mask = index.mask;
  int axis = 0;
  for (const LaneIndex::Group &group : index.groups) {
    bool all = true, none = true;
    for (int i = 0; i < group.count; ++i)
      (from[axis + i] >= 0 ? none : all) = false;
    if (all) {
      inner.groups.push_back(group);
    } else if (!none) {
      Shape cut;
      for (int i = 0; i < group.count; ++i)
        cut.push(op.shape()[axis + i]);
      LaneIndex whole;
      whole.groups = {group};
      std::vector<LaneValue> dims = m.dims(cut, whole);
      for (int i = 0; i < group.count; ++i)
        if (from[axis + i] >= 0)
          inner.groups.push_back({1, dims[i]});
    }
    axis += group.count;
  }
  return m.emit(op.data.operands[0], inner);
}

llvm::Value *reshape(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  return m.emit(op.data.operands[0], m.reshaped(op.shape(), index, op.operandShape()));
}

llvm::Value *transpose(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  std::vector<LaneValue> dims = m.dims(op.shape(), index), inner(dims.size());
  std::vector<int64_t> permutation = op.attrs.ints("permutation");
  for (size_t i = 0; i < dims.size(); ++i)
    inner[permutation[i]] = dims[i];
  return m.emit(op.data.operands[0], LaneIndex::of(inner, index.mask));
}

llvm::Value *slice(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  std::vector<LaneValue> dims = m.dims(op.shape(), index);
  std::vector<int64_t> start = op.attrs.ints("start"), stride = op.steps("stride", 1);
  for (size_t i = 0; i < dims.size(); ++i)
    dims[i] = m.math.add(m.math.mul(dims[i], stride[i]), start[i]);
  return m.emit(op.data.operands[0], LaneIndex::of(dims, index.mask));
}

llvm::Value *reverse(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  std::vector<LaneValue> dims = m.dims(op.shape(), index);
  for (int64_t axis : op.attrs.ints("axes"))
    dims[axis] = m.math.add(m.math.mul(dims[axis], -1), op.shape()[axis] - 1);
  return m.emit(op.data.operands[0], LaneIndex::of(dims, index.mask));
}

llvm::Value *relayout(ElementEmitter &m, OpId id, const LaneIndex &index) {
  return m.emit(m.fn[id].operands[0], index);
}

llvm::Value *pad(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  std::vector<LaneValue> dims = m.dims(op.shape(), index);
  std::vector<int64_t> low = op.attrs.ints("low"), interior = op.steps("interior", 0);
  Condition inside;
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t size = op.operandShape()[i], step = interior[i] + 1, extent = (size - 1) * step + 1;
    if (low[i] == 0 && extent == op.shape()[i] && step == 1)
      continue;
    dims[i] = m.math.add(dims[i], -low[i]);
    inside.requireBelow(m.math, dims[i], extent);
    if (step != 1) {
      inside.require(m.e, m.math.equals(m.math.mod(dims[i], step), 0));
      dims[i] = m.math.div(dims[i], step);
    }
  }
  llvm::Value *value = m.emit(op.data.operands[0], LaneIndex::of(dims, inside.mask(m.e, index.mask)));
  DType dtype = m.fn.type(op.data.results[0]).dtype;
  return inside.select(m.e, value, m.e.constant(dtype, op.attrs.has("value") ? op.attrs.f64("value") : 0));
}

llvm::Value *concat(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  int64_t axis = op.attrs.i64("axis"), offset = 0;
  std::vector<LaneValue> dims = m.dims(op.shape(), index);
  llvm::Value *result = nullptr;
  for (size_t i = 0; i < op.data.operands.size(); ++i) {
    int64_t size = op.operandShape(static_cast<int>(i))[axis];
    std::vector<LaneValue> inner = dims;
    inner[axis] = m.math.add(dims[axis], -offset);
    Condition inside;
    inside.requireBelow(m.math, inner[axis], size);
    llvm::Value *value = m.emit(op.data.operands[i], LaneIndex::of(inner, inside.mask(m.e, index.mask)));
    result = result ? inside.select(m.e, value, result) : value;
    offset += size;
  }
  return result;
}

llvm::Value *gather(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  int64_t axis = op.attrs.i64("axis"), size = op.operandShape(0)[axis];
  int rank = op.operandShape(1).rank();
  std::vector<LaneValue> dims = m.dims(op.shape(), index);
  LaneIndex where = LaneIndex::of({dims.begin() + axis, dims.begin() + axis + rank}, index.mask);
  llvm::Value *chosen = m.emit(op.data.operands[1], where);
  llvm::Type *type = chosen->getType();
  chosen = m.e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, chosen, llvm::ConstantInt::get(type, 0));
  chosen = m.e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, chosen,
                                       llvm::ConstantInt::get(type, static_cast<uint64_t>(size - 1)));
  std::vector<LaneValue> inner(dims.begin(), dims.begin() + axis);
  inner.push_back(m.asIndex(chosen, where.uniform()));
  inner.insert(inner.end(), dims.begin() + axis + rank, dims.end());
  return m.emit(op.data.operands[0], LaneIndex::of(inner, index.mask));
}

} // namespace

std::span<const ElementRule> movementEmitters() {
  static constexpr ElementRule rules[] = {
      {"broadcast", broadcast}, {"reshape", reshape}, {"transpose", transpose},
      {"slice", slice},         {"pad", pad},         {"concat", concat},
      {"reverse", reverse},     {"gather", gather},   {"relayout", relayout},
  };
  return rules;
}

LaneIndex movedTo(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Op op(m, id);
  if (op.data.def->name == "reshape")
    return m.reshaped(op.operandShape(), index, op.shape());
  CHECK(op.data.def->name == "transpose", "where {} moves to", op.data.def->name);
  const std::vector<LaneValue> dims = m.dims(op.operandShape(), index);
  std::vector<LaneValue> moved;
  for (int64_t axis : op.attrs.ints("permutation"))
    moved.push_back(dims[axis]);
  return LaneIndex::of(std::move(moved), index.mask);
}

} // namespace gradc
