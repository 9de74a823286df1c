// Matrix products and convolutions element by element, in the order of ir/order.h: for shapes and layouts that have
// no register tile (ir/contraction.h). Sixteen neighbouring elements of the result at a time, one chain each.
#include <array>

#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/elements/reduction.h"
#include "ir/layout.h"
#include "ir/order.h"
#include "ir/spatial.h"
#include "support/check.h"

namespace gradc {
namespace {

/// What the rules share: the two factors, cast to the result's type, and a loop that carries the sum.
struct Contraction {
  ElementEmitter &m;
  const OpData &op;
  Dict attrs;
  DType dtype;

  Contraction(ElementEmitter &m, OpId id)
      : m(m), op(m.fn[id]), attrs(withDefaults(*op.def, op.attrs)), dtype(m.fn.type(op.results[0]).dtype) {}

  const Shape &shape(int operand) const { return m.fn.type(op.operands[operand]).shape; }
  const Shape &result() const { return m.fn.type(op.results[0]).shape; }

  /// sum + a·b where `exists` holds, else the sum; a and b are 0 where they are not `present`.
  llvm::Value *add(llvm::Value *sum, std::vector<LaneValue> a, std::vector<LaneValue> b, llvm::Value *mask,
                   const Condition &exists = {}, const Condition &present = {}) {
    auto factor = [&](int operand, std::vector<LaneValue> at) {
      LaneIndex index = LaneIndex::of(std::move(at), exists.mask(m.e, mask));
      return present.select(
          m.e,
          emitCast(m.e, m.emit(op.operands[operand], index), m.fn.type(op.operands[operand]).dtype, dtype),
          zero());
    };
    return exists.select(m.e, m.e.fma(factor(0, std::move(a)), factor(1, std::move(b)), sum), sum);
  }

  using Body = std::function<llvm::Value *(std::vector<LaneValue>, llvm::Value *)>;
  /// sum = body(i, sum) for every index of nested loops, the last one innermost.
  llvm::Value *nest(std::vector<int64_t> sizes, llvm::Value *sum, const Body &body,
                    std::vector<LaneValue> outer = {}) {
    if (outer.size() == sizes.size())
      return body(outer, sum);
    return m.e.count(sizes[outer.size()], {sum}, [&](llvm::Value *i, const Values &carried) {
      ElementEmitter::Scope scope(m);
      std::vector<LaneValue> inner = outer;
      inner.push_back(m.math.uniform(i));
      return Values{nest(sizes, carried[0], body, inner)};
    })[0];
  }
  llvm::Value *zero() { return m.e.constant(dtype, 0); }

  llvm::Value *tree(Values partial) { return emitTree(m.e, Leaf::Add, dtype, std::move(partial)); }
};

llvm::Value *matmulHere(ElementEmitter &m, OpId id, const LaneIndex &index) {
  Contraction c(m, id);
  std::vector<LaneValue> at = m.dims(c.result(), index);
  size_t rank = at.size(), rankB = c.shape(1).rank();
  bool ta = c.attrs.flag("transpose_a"), tb = c.attrs.flag("transpose_b");
  int64_t length = c.shape(0)[static_cast<int>(rank) - (ta ? 2 : 1)];
  const ReductionOrder order = reductionOrder(m.fn, id); // lanes or segments
  auto chain = [&](int64_t first, int64_t end) {
    return c.nest({(end - first + order.lanes - 1) / order.lanes}, c.zero(),
                  [&](std::vector<LaneValue> k, llvm::Value *sum) {
                    std::vector<LaneValue> a = at, b(at.end() - rankB, at.end());
                    a[rank - 1] = b[rankB - 2] = m.math.add(m.math.mul(k[0], order.lanes), first);
                    if (ta)
                      std::swap(a[rank - 1], a[rank - 2]);
                    if (tb)
                      std::swap(b[rankB - 1], b[rankB - 2]);
                    return c.add(sum, a, b, index.mask);
                  });
  };
  Values partial;
  for (int64_t lane = 0; lane < order.lanes; ++lane)
    for (int64_t segment = 0; segment < order.split; ++segment)
      partial.push_back(chain(length / order.split * segment + lane, length / order.split * (segment + 1)));
  return c.tree(std::move(partial));
}

struct Convolution : Contraction {
  Window win;
  int64_t groups, filters, channels; // per group

  Convolution(ElementEmitter &m, OpId id, std::array<int64_t, 2> input, const Shape &weight)
      : Contraction(m, id), groups(attrs.i64("groups")), filters(weight[0] / groups), channels(weight[1]) {
    Rule<Window> window = slidingWindow(attrs, input, planeOf(weight));
    CHECK(window, "{}", window.error());
    win = *window;
  }

  /// Where the tap of window `o` reads along a dimension.
  LaneValue tapAt(int dim, LaneValue o, LaneValue tap, Condition &exists) {
    LaneValue at = m.math.add(m.math.add(m.math.mul(o, win.stride[dim]), m.math.mul(tap, win.dilation[dim])),
                              -win.padLow[dim]);
    if (win.padLow[dim] != 0 || win.at(dim, win.output[dim] - 1, win.kernel[dim] - 1) >= win.input[dim])
      exists.requireBelow(m.math, at, win.input[dim]);
    return at;
  }

  /// The window whose tap reads `at`.
  LaneValue windowAt(int dim, LaneValue at, LaneValue tap, Condition &exists) {
    LaneValue distance = m.math.add(m.math.add(at, m.math.mul(tap, -win.dilation[dim])), win.padLow[dim]);
    exists.requireBelow(m.math, distance, (win.output[dim] - 1) * win.stride[dim] + 1);
    if (win.stride[dim] != 1)
      exists.require(m.e, m.math.equals(m.math.mod(distance, win.stride[dim]), 0));
    return m.math.div(distance, win.stride[dim]);
  }

  /// Channel i of the group that has `member` among `size` of each group's.
  LaneValue inGroup(LaneValue member, int64_t size, int64_t otherSize, LaneValue i) {
    return groups == 1 ? i : m.math.add(m.math.mul(m.math.div(member, size), otherSize), i);
  }
};

llvm::Value *convHere(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  Convolution c(m, id, planeOf(m.fn.type(op.operands[0]).shape), m.fn.type(op.operands[1]).shape);
  std::vector<LaneValue> at = m.dims(c.result(), index); // n, f, oh, ow
  return c.nest({c.win.kernel[0], c.win.kernel[1], c.channels}, c.zero(),
                [&](std::vector<LaneValue> i, llvm::Value *sum) { // kh, kw, ic
                  Condition exists;
                  LaneValue h = c.tapAt(0, at[2], i[0], exists), w = c.tapAt(1, at[3], i[1], exists);
                  LaneValue channel = c.inGroup(at[1], c.filters, c.channels, i[2]);
                  return c.add(sum, {at[0], channel, h, w}, {at[1], i[2], i[0], i[1]}, index.mask, exists);
                });
}

llvm::Value *convGradInputHere(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  Convolution c(m, id, planeOf(m.fn.type(op.results[0]).shape), m.fn.type(op.operands[1]).shape);
  std::vector<LaneValue> at = m.dims(c.result(), index); // n, channel, h, w
  return c.nest(
      {c.win.kernel[0], c.win.kernel[1], c.filters}, c.zero(),
      [&](std::vector<LaneValue> i, llvm::Value *sum) { // kh, kw, oc
        Condition exists;
        LaneValue oh = c.windowAt(0, at[2], i[0], exists), ow = c.windowAt(1, at[3], i[1], exists);
        LaneValue filter = c.inGroup(at[1], c.channels, c.filters, i[2]);
        LaneValue channel = c.groups == 1 ? at[1] : m.math.mod(at[1], c.channels);
        return c.add(sum, {at[0], filter, oh, ow}, {filter, channel, i[0], i[1]}, index.mask, exists);
      });
}

/// Partial sums over n % 16 and over segments of n / 16 where the order has them.
llvm::Value *convGradWeightHere(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  const Shape &x = m.fn.type(op.operands[0]).shape;
  Convolution c(m, id, planeOf(x), m.fn.type(op.results[0]).shape);
  ReductionOrder order = reductionOrder(m.fn, id);
  std::vector<LaneValue> at = m.dims(c.result(), index); // f, ic, kh, kw
  LaneValue channel = c.inGroup(at[0], c.filters, c.channels, at[1]);
  int64_t examples = laneBlocks(x[0]) / order.split;
  auto chain = [&](LaneValue first) {
    return c.nest(
        {examples, c.win.output[0], c.win.output[1]}, c.zero(),
        [&](std::vector<LaneValue> i, llvm::Value *sum) { // n, oh, ow
          Condition exists, present;
          LaneValue n = m.math.add(m.math.mul(i[0], order.lanes), first);
          if (x[0] % kLanes != 0)
            present.requireBelow(m.math, n, x[0]);
          LaneValue h = c.tapAt(0, i[1], at[2], exists), w = c.tapAt(1, i[2], at[3], exists);
          return c.add(sum, {n, channel, h, w}, {n, at[0], i[1], i[2]}, index.mask, exists, present);
        });
  };
  Values segments;
  for (int64_t s = 0; s < order.split; ++s) {
    Values lanes;
    for (int64_t lane = 0; lane < order.lanes; ++lane)
      lanes.push_back(chain(m.math.constant(s * examples * order.lanes + lane)));
    segments.push_back(c.tree(std::move(lanes)));
  }
  return c.tree(std::move(segments));
}

} // namespace

std::span<const ElementRule> contractionEmitters() {
  static constexpr ElementRule rules[] = {{"matmul", matmulHere},
                                          {"conv2d", convHere},
                                          {"conv2d_grad_input", convGradInputHere},
                                          {"conv2d_grad_weight", convGradWeightHere}};
  return rules;
}

} // namespace gradc
