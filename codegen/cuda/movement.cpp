// Movement ops: each element of the result is one element of an operand, so each op is a map of the index.
#include "codegen/cuda/element.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// What a rule needs of its op.
struct Op {
  CudaElements &m;
  const OpData &data;
  Dict attrs;

  Op(CudaElements &m, OpId id) : m(m), data(m.fn[id]), attrs(withDefaults(*data.def, data.attrs)) {}
  const Type &type() const { return m.fn.type(data.results[0]); }
  const Shape &shape() const { return type().shape; }
  const Shape &operandShape(int i = 0) const {
    return m.fn.type(data.operands[static_cast<size_t>(i)]).shape;
  }
  const std::string &name() const { return m.fn[data.results[0]].name; }
  std::vector<int64_t> steps(std::string_view key, int64_t fallback) const {
    return attrs.has(key) ? attrs.ints(key)
                          : std::vector<int64_t>(static_cast<size_t>(operandShape().rank()), fallback);
  }
  std::string operand(const CudaIndices &at, int i = 0) {
    return m.emit(data.operands[static_cast<size_t>(i)], at);
  }
};

std::string broadcast(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  CudaIndices inner;
  for (int64_t axis : op.attrs.ints("axes"))
    inner.push_back(at[static_cast<size_t>(axis)]);
  return op.operand(inner);
}

std::string reshape(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  return op.operand(m.math.reshaped(op.shape(), at, op.operandShape()));
}

std::string transpose(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  CudaIndices inner(at.size());
  const std::vector<int64_t> permutation = op.attrs.ints("permutation");
  for (size_t i = 0; i < at.size(); ++i)
    inner[static_cast<size_t>(permutation[i])] = at[i];
  return op.operand(inner);
}

std::string slice(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  CudaIndices inner = at;
  const std::vector<int64_t> start = op.attrs.ints("start"), stride = op.steps("stride", 1);
  for (size_t i = 0; i < at.size(); ++i)
    inner[i] = m.math.add(m.math.mul(at[i], stride[i]), start[i]);
  return op.operand(inner);
}

std::string reverse(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  CudaIndices inner = at;
  for (int64_t axis : op.attrs.ints("axes"))
    inner[static_cast<size_t>(axis)] =
        m.math.add(m.math.mul(at[static_cast<size_t>(axis)], -1), op.shape()[static_cast<int>(axis)] - 1);
  return op.operand(inner);
}

std::string relayout(CudaElements &m, OpId id, const CudaIndices &at) { return Op(m, id).operand(at); }

std::string pad(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  CudaIndices inner = at;
  const std::vector<int64_t> low = op.attrs.ints("low"), interior = op.steps("interior", 0);
  CudaCondition inside;
  std::vector<std::pair<size_t, int64_t>>
      spread; // dimensions with padding between neighbours, and their step
  for (size_t i = 0; i < at.size(); ++i) {
    const int64_t size = op.operandShape()[static_cast<int>(i)], step = interior[i] + 1,
                  extent = (size - 1) * step + 1;
    inner[i] = m.math.add(at[i], -low[i]);
    inside.require(m.math.below(inner[i], extent));
    if (step != 1)
      spread.emplace_back(i, step);
  }
  const DType dtype = op.type().dtype;
  const std::string value = cudaLiteral(dtype, op.attrs.has("value") ? op.attrs.f64("value") : 0);
  if (inside.always() && spread.empty())
    return op.operand(inner);
  const std::string result = m.variable(dtype, op.name(), value);
  m.when(inside.text(), [&] {
    CudaCondition exact;
    for (auto [i, step] : spread) {
      exact.require(m.math.equals(m.math.mod(inner[i], step), 0));
      inner[i] = m.math.div(inner[i], step);
    }
    m.when(exact.text(), [&] { m.text.line("{} = {};", result, op.operand(inner)); });
  });
  return result;
}

std::string concat(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  const auto axis = static_cast<size_t>(op.attrs.i64("axis"));
  const DType dtype = op.type().dtype;
  const std::string result = m.variable(dtype, op.name(), cudaLiteral(dtype, 0));
  int64_t offset = 0;
  for (size_t i = 0; i < op.data.operands.size(); ++i) {
    const int64_t size = op.operandShape(static_cast<int>(i))[static_cast<int>(axis)];
    CudaIndices inner = at;
    inner[axis] = m.math.add(at[axis], -offset);
    m.when(m.math.below(inner[axis], size),
           [&] { m.text.line("{} = {};", result, op.operand(inner, static_cast<int>(i))); });
    offset += size;
  }
  return result;
}

std::string gather(CudaElements &m, OpId id, const CudaIndices &at) {
  Op op(m, id);
  const int64_t axis = op.attrs.i64("axis"), size = op.operandShape(0)[static_cast<int>(axis)];
  const int64_t rank = op.operandShape(1).rank();
  const std::string chosen = op.operand({at.begin() + axis, at.begin() + axis + rank}, 1);
  const std::string clamped =
      m.text.define("int", op.name() + "_row", fmt::format("clamp_index({}, {})", chosen, size - 1));
  CudaIndices inner(at.begin(), at.begin() + axis);
  inner.push_back(m.math.counter(clamped, size));
  inner.insert(inner.end(), at.begin() + axis + rank, at.end());
  return op.operand(inner);
}

} // namespace

std::span<const CudaElementRule> cudaMovementRules() {
  static constexpr CudaElementRule rules[] = {
      {"broadcast", broadcast}, {"reshape", reshape}, {"transpose", transpose},
      {"slice", slice},         {"pad", pad},         {"concat", concat},
      {"reverse", reverse},     {"gather", gather},   {"relayout", relayout},
  };
  return rules;
}

} // namespace gradc
