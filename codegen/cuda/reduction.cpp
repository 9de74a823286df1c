#include "codegen/cuda/reduction.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {

Leaf cudaReductionLeaf(std::string_view op) {
  return op == "reduce_sum" ? Leaf::Add : op == "reduce_max" ? Leaf::Maximum : Leaf::Minimum;
}

double cudaReductionStart(std::string_view op) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  return op == "reduce_sum" ? 0 : op == "reduce_max" ? -kInf : kInf;
}

std::string cudaCombine(std::string_view op, DType dtype, const std::string &sum, const std::string &x) {
  const std::string args[] = {sum, x};
  return cudaLeaf(cudaReductionLeaf(op), dtype, args);
}

bool isReducedAxis(const ReductionOrder &order, int axis) {
  return std::ranges::find(order.axes, axis) != order.axes.end();
}

void CudaChain::nest(CudaElements &m, size_t level, CudaIndices at,
                     const std::function<void(const CudaIndices &)> &body) const {
  if (level == order.axes.size())
    return body(at);
  const int axis = order.axes[level];
  const bool lanes = order.lanes > 1 && axis == order.laneAxis;
  const int64_t size = level == 0 ? shape[axis] / order.split : shape[axis];
  const int64_t count = lanes ? ceilDiv(size, order.lanes) : size;
  if (unroll > 1 && level + 1 == order.axes.size() && count > 1)
    m.text.line("#pragma unroll {}", unroll);
  m.loop("k", count, [&](const CudaIndex &k) {
    CudaIndex place = lanes ? m.math.add(m.math.mul(k, order.lanes), lane) : k;
    const bool partly = lanes && size % order.lanes != 0;
    if (level == 0)
      place = m.math.add(place, m.math.mul(segment, size));
    at[static_cast<size_t>(axis)] = place;
    m.when(partly ? m.math.below(place, size) : "", [&] { nest(m, level + 1, at, body); });
  });
}

void CudaChain::forEach(CudaElements &m, CudaIndices kept,
                        const std::function<void(const CudaIndices &)> &body) const {
  nest(m, 0, std::move(kept), body);
}

CudaIndices cudaKeptDims(CudaElements &m, OpId reduction, const ReductionOrder &order,
                         const CudaIndices &at) {
  const Shape &shape = m.fn.type(m.fn[reduction].operands[0]).shape;
  Shape kept;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (!isReducedAxis(order, axis))
      kept.push(shape[axis]);
  const CudaIndices inner = m.math.reshaped(m.fn.type(m.fn[reduction].results[0]).shape, at, kept);
  CudaIndices dims(static_cast<size_t>(shape.rank()));
  size_t i = 0;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (!isReducedAxis(order, axis))
      dims[static_cast<size_t>(axis)] = inner[i++];
  return dims;
}

std::string cudaBeatsBest(const std::string &value, const std::string &best) {
  return fmt::format("{0} > {1} || ({0} != {0} && {1} == {1})", value, best);
}

namespace {

/// The tree p[j] += p[j + h] for h = count/2, …, 1 over values that are computed one after the other, in the order in
/// which the tree takes them: bits of their numbers reversed. What waits for its partner is in `waiting`, by height.
std::string treeOf(CudaElements &m, std::string_view op, DType dtype, std::string_view name, int64_t count,
                   const std::function<std::string(const CudaIndex &)> &value) {
  if (count == 1)
    return value(0);
  const int bits = std::countr_zero(static_cast<uint64_t>(count));
  const std::string start = cudaLiteral(dtype, cudaReductionStart(op)), sum = m.variable(dtype, name, start);
  std::vector<std::string> waiting;
  for (int bit = 0; bit < bits; ++bit)
    waiting.push_back(m.variable(dtype, "waiting", start));
  const std::string p = m.text.name("p");
  m.block(fmt::format("for (int {0} = 0; {0} < {1}; ++{0})", p, count), [&] {
    const std::string number =
        m.text.define("int", "part", fmt::format("int(__brev({}) >> {})", p, 32 - bits));
    m.text.line("{} = {};", sum, value(m.math.counter(number, count)));
    for (int bit = 0; bit < bits; ++bit) {
      m.text.line("if (({} & {}) == 0) {{ {} = {}; continue; }}", p, 1 << bit,
                  waiting[static_cast<size_t>(bit)], sum);
      m.text.line("{} = {};", sum, cudaCombine(op, dtype, waiting[static_cast<size_t>(bit)], sum));
    }
  });
  return sum;
}

} // namespace

std::string cudaSumOfChains(CudaElements &m, OpId id, const ReductionOrder &order,
                            const CudaChainBody &chain) {
  const OpData &op = m.fn[id];
  const DType dtype = m.fn.type(op.results[0]).dtype;
  const std::string_view combines = op.def->is(kContraction) ? "reduce_sum" : op.def->name;
  const std::string &name = m.fn[op.results[0]].name;
  return treeOf(m, combines, dtype, name, order.split, [&](const CudaIndex &segment) {
    return treeOf(m, combines, dtype, name, order.lanes, [&](const CudaIndex &lane) {
      const std::string sum = m.variable(dtype, name, cudaLiteral(dtype, cudaReductionStart(combines)));
      chain(sum, lane, segment);
      return sum;
    });
  });
}

namespace {

std::string reduceHere(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const Type &operand = m.fn.type(op.operands[0]);
  const ReductionOrder order = reductionOrder(m.fn, id);
  const CudaIndices kept = cudaKeptDims(m, id, order, at);
  return cudaSumOfChains(
      m, id, order, [&](const std::string &sum, const CudaIndex &lane, const CudaIndex &segment) {
        CudaChain{.shape = operand.shape, .order = order, .lane = lane, .segment = segment}.forEach(
            m, kept, [&](const CudaIndices &place) {
              m.text.line("{} = {};", sum,
                          cudaCombine(op.def->name, operand.dtype, sum, m.emit(op.operands[0], place)));
            });
      });
}

std::string argmaxHere(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const ValueId x = op.operands[0];
  const Type &operand = m.fn.type(x);
  const ReductionOrder order = reductionOrder(m.fn, id);
  const auto axis = static_cast<size_t>(order.axes[0]);
  CudaIndices place = cudaKeptDims(m, id, order, at);
  const std::string best = m.variable(operand.dtype, "best", m.emit(x, place));
  const std::string number = m.variable(DType::I32, m.fn[op.results[0]].name, "0");
  const int64_t size = operand.shape[static_cast<int>(axis)];
  m.loop("k", size - 1, [&](const CudaIndex &k) {
    place[axis] = m.math.add(k, 1);
    const std::string value = m.emit(x, place);
    m.block(fmt::format("if ({})", cudaBeatsBest(value, best)), [&] {
      m.text.line("{} = {};", best, value);
      m.text.line("{} = {};", number, m.math.text(place[axis]));
    });
  });
  return number;
}

/// Adds the updates whose index is this element's, in the order of the list.
std::string scatterAddHere(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const DType dtype = m.fn.type(op.results[0]).dtype;
  const Shape &indices = m.fn.type(op.operands[0]).shape;
  const int64_t axis = attrs.i64("axis"), size = attrs.i64("size"), count = indices.elements();
  const std::string sum = m.variable(dtype, m.fn[op.results[0]].name, cudaLiteral(dtype, 0));
  const CudaIndex &row = at[static_cast<size_t>(axis)];
  m.loop("k", count, [&](const CudaIndex &k) {
    const CudaIndices position = m.math.dims(indices, k);
    const std::string chosen = m.emit(op.operands[0], position);
    m.when(fmt::format("clamp_index({}, {}) == {}", chosen, size - 1, m.math.text(row)), [&] {
      CudaIndices update(at.begin(), at.begin() + axis);
      update.insert(update.end(), position.begin(), position.end());
      update.insert(update.end(), at.begin() + axis + 1, at.end());
      const std::string args[] = {sum, m.emit(op.operands[1], update)};
      m.text.line("{} = {};", sum, cudaLeaf(Leaf::Add, dtype, args));
    });
  });
  return sum;
}

} // namespace

std::span<const CudaElementRule> cudaReductionRules() {
  static constexpr CudaElementRule rules[] = {{"reduce_sum", reduceHere},
                                              {"reduce_max", reduceHere},
                                              {"reduce_min", reduceHere},
                                              {"argmax", argmaxHere},
                                              {"scatter_add", scatterAddHere}};
  return rules;
}

} // namespace gradc
