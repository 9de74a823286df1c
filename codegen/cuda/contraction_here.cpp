// Matrix products and convolutions element by element, in the order of ir/order.h: for shapes that have no kernel of
// their own.
#include <array>

#include "codegen/cuda/reduction.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/spatial.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// What the rules share: the two factors, cast to the result's type, and loops.
struct Contraction {
  CudaElements &m;
  const OpData &op;
  Dict attrs;
  DType dtype;

  Contraction(CudaElements &m, OpId id)
      : m(m), op(m.fn[id]), attrs(withDefaults(*op.def, op.attrs)), dtype(m.fn.type(op.results[0]).dtype) {}

  const Shape &shape(size_t operand) const { return m.fn.type(op.operands[operand]).shape; }

  /// sum = fma(a, b, sum)
  void add(const std::string &sum, const CudaIndices &a, const CudaIndices &b) {
    auto factor = [&](size_t operand, const CudaIndices &at) {
      return cudaCast(m.emit(op.operands[operand], at), m.fn.type(op.operands[operand]).dtype, dtype);
    };
    const std::string x = factor(0, a), y = factor(1, b);
    m.text.line("{} = {}({}, {}, {});", sum, dtype == DType::F32 ? "fmaf" : "fma", x, y, sum);
  }

  /// body(i) for every index of nested loops, the last one innermost.
  using Body = std::function<void(const CudaIndices &)>;
  void nest(const std::vector<std::pair<std::string_view, int64_t>> &loops, const Body &body,
            const CudaIndices &outer = {}) {
    if (outer.size() == loops.size())
      return body(outer);
    auto [name, count] = loops[outer.size()];
    m.loop(name, count, [&](const CudaIndex &i) {
      CudaIndices inner = outer;
      inner.push_back(i);
      nest(loops, body, inner);
    });
  }
};

std::string matmulHere(CudaElements &m, OpId id, const CudaIndices &at) {
  Contraction c(m, id);
  const size_t rank = at.size(), rankB = static_cast<size_t>(c.shape(1).rank());
  const bool ta = c.attrs.flag("transpose_a"), tb = c.attrs.flag("transpose_b");
  const int64_t length = c.shape(0)[static_cast<int>(rank) - (ta ? 2 : 1)];
  const ReductionOrder order = reductionOrder(m.fn, id);
  const int64_t steps = ceilDiv(length, order.lanes) / order.split;
  return cudaSumOfChains(m, id, order,
                         [&](const std::string &sum, const CudaIndex &lane, const CudaIndex &segment) {
                           c.nest({{"k", steps}}, [&](const CudaIndices &k) {
                             CudaIndices a = at, b(at.end() - static_cast<std::ptrdiff_t>(rankB), at.end());
                             const CudaIndex step = m.math.add(k[0], m.math.mul(segment, steps));
                             a[rank - 1] = b[rankB - 2] = m.math.add(m.math.mul(step, order.lanes), lane);
                             const std::string exists = m.math.below(a[rank - 1], length);
                             if (ta)
                               std::swap(a[rank - 1], a[rank - 2]);
                             if (tb)
                               std::swap(b[rankB - 1], b[rankB - 2]);
                             m.when(exists, [&] { c.add(sum, a, b); });
                           });
                         });
}

struct Convolution : Contraction {
  Window win;
  int64_t groups, filters, channels; // per group

  Convolution(CudaElements &m, OpId id, std::array<int64_t, 2> input, const Shape &weight)
      : Contraction(m, id), groups(attrs.i64("groups")), filters(weight[0] / groups), channels(weight[1]) {
    Rule<Window> window = slidingWindow(attrs, input, planeOf(weight));
    CHECK(window, "{}", window.error());
    win = *window;
  }

  /// Where the tap of window `o` reads along a dimension.
  CudaIndex tapAt(size_t dim, const CudaIndex &o, const CudaIndex &tap, CudaCondition &exists) {
    CudaIndex at = m.math.add(m.math.mul(o, win.stride[dim]), m.math.mul(tap, win.dilation[dim]));
    at = m.math.add(at, -win.padLow[dim]);
    exists.require(m.math.below(at, win.input[dim]));
    return at;
  }

  /// The filter or channel that is number i of the group that has `member` among `size` of each group's.
  CudaIndex inGroup(const CudaIndex &member, int64_t size, int64_t otherSize, const CudaIndex &i) {
    return groups == 1 ? i : m.math.add(m.math.mul(m.math.div(member, size), otherSize), i);
  }
};

std::string convHere(CudaElements &m, OpId id, const CudaIndices &at) { // n, f, oh, ow
  const OpData &op = m.fn[id];
  Convolution c(m, id, planeOf(m.fn.type(op.operands[0]).shape), m.fn.type(op.operands[1]).shape);
  return cudaSumOfChains(m, id, {}, [&](const std::string &sum, const CudaIndex &, const CudaIndex &) {
    c.nest({{"kh", c.win.kernel[0]}, {"kw", c.win.kernel[1]}, {"ic", c.channels}}, [&](const CudaIndices &i) {
      CudaCondition exists;
      const CudaIndex h = c.tapAt(0, at[2], i[0], exists), w = c.tapAt(1, at[3], i[1], exists);
      m.when(exists.text(), [&] {
        c.add(sum, {at[0], c.inGroup(at[1], c.filters, c.channels, i[2]), h, w}, {at[1], i[2], i[0], i[1]});
      });
    });
  });
}

std::string convGradInputHere(CudaElements &m, OpId id, const CudaIndices &at) { // n, channel, h, w
  const OpData &op = m.fn[id];
  Convolution c(m, id, planeOf(m.fn.type(op.results[0]).shape), m.fn.type(op.operands[1]).shape);
  const Window &win = c.win;
  auto add = [&](const std::string &sum, const CudaIndices &i) { // kh, kw, oc
    CudaCondition exists, exact;
    CudaIndex distance[2], o[2];
    for (size_t dim : {0, 1}) {
      distance[dim] =
          m.math.add(m.math.add(at[2 + dim], m.math.mul(i[dim], -win.dilation[dim])), win.padLow[dim]);
      exists.require(m.math.below(distance[dim], (win.output[dim] - 1) * win.stride[dim] + 1));
    }
    m.when(exists.text(), [&] {
      for (size_t dim : {0, 1}) {
        exact.require(m.math.equals(m.math.mod(distance[dim], win.stride[dim]), 0));
        o[dim] = m.math.div(distance[dim], win.stride[dim]);
      }
      const CudaIndex filter = c.inGroup(at[1], c.channels, c.filters, i[2]);
      const CudaIndex channel = c.groups == 1 ? at[1] : m.math.mod(at[1], c.channels);
      m.when(exact.text(), [&] { c.add(sum, {at[0], filter, o[0], o[1]}, {filter, channel, i[0], i[1]}); });
    });
  };
  return cudaSumOfChains(m, id, {}, [&](const std::string &sum, const CudaIndex &, const CudaIndex &) {
    c.nest({{"kh", win.kernel[0]}, {"kw", win.kernel[1]}, {"oc", c.filters}},
           [&](const CudaIndices &i) { add(sum, i); });
  });
}

/// Partial sums over n % 16 and over segments of n / 16 where the order has them.
std::string convGradWeightHere(CudaElements &m, OpId id, const CudaIndices &at) { // f, ic, kh, kw
  const OpData &op = m.fn[id];
  const Shape &x = m.fn.type(op.operands[0]).shape;
  Convolution c(m, id, planeOf(x), m.fn.type(op.results[0]).shape);
  const ReductionOrder order = reductionOrder(m.fn, id);
  const CudaIndex channel = c.inGroup(at[0], c.filters, c.channels, at[1]);
  const int64_t examples = laneBlocks(x[0]) / order.split;
  return cudaSumOfChains(
      m, id, order, [&](const std::string &sum, const CudaIndex &lane, const CudaIndex &segment) {
        c.nest({{"b", examples}, {"oh", c.win.output[0]}, {"ow", c.win.output[1]}},
               [&](const CudaIndices &i) {
                 const CudaIndex block = m.math.add(i[0], m.math.mul(segment, examples));
                 const CudaIndex n = m.math.add(m.math.mul(block, order.lanes), lane);
                 CudaCondition exists;
                 exists.require(m.math.below(n, x[0]));
                 const CudaIndex h = c.tapAt(0, i[1], at[2], exists), w = c.tapAt(1, i[2], at[3], exists);
                 m.when(exists.text(), [&] { c.add(sum, {n, channel, h, w}, {n, at[0], i[1], i[2]}); });
               });
        // A lane without an example takes fma(+0, +0, sum), as padding does: -0 becomes +0.
        const CudaIndex last = m.math.add(m.math.mul(segment, examples * order.lanes), lane);
        const std::string full = m.math.below(m.math.add(last, (examples - 1) * order.lanes), x[0]);
        if (!full.empty())
          m.text.line("{0} = {1} ? {0} : {0} + 0;", sum, full);
      });
}

} // namespace

std::span<const CudaElementRule> cudaContractionRules() {
  static constexpr CudaElementRule rules[] = {{"matmul", matmulHere},
                                              {"conv2d", convHere},
                                              {"conv2d_grad_input", convGradInputHere},
                                              {"conv2d_grad_weight", convGradWeightHere}};
  return rules;
}

} // namespace gradc
