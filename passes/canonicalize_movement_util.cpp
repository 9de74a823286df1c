// Rules about ops that move elements, and about what can take a movement in.
#include <algorithm>
#include <numeric>

#include "ir/order.h"
#include "passes/canonicalize_util.h"

namespace gradc {
namespace {

bool isIota(const std::vector<int64_t> &list) {
  std::vector<int64_t> iota(list.size());
  std::iota(iota.begin(), iota.end(), 0);
  return list == iota;
}

bool allAre(const std::vector<int64_t> &list, int64_t value) {
  return std::ranges::all_of(list, [&](int64_t v) { return v == value; });
}

std::vector<int64_t> listOr(const Dict &attrs, std::string_view name, size_t size, int64_t fallback) {
  return attrs.has(name) ? attrs.ints(name) : std::vector<int64_t>(size, fallback);
}

/// An op that leaves its operand as it is: same type, and nothing moves.
ValueId identity(Match &m) { return m.type(m.x()) == m.type() ? m.x() : kNoValue; }

/// A movement of equal elements gives equal elements.
ValueId movementOfSplat(Match &m) {
  ValueId x = m.x();
  if (!m.is(x, "broadcast") || m.type(m.operand(x)).rank() != 0)
    return kNoValue;
  return m.b.broadcast(m.operand(x), m.type().shape, {});
}

ValueId broadcastOfBroadcast(Match &m) {
  if (!m.is(m.x(), "broadcast"))
    return kNoValue;
  std::vector<int64_t> outer = m.attrs().ints("axes"), axes;
  for (int64_t axis : m.attrs(m.x()).ints("axes"))
    axes.push_back(outer[static_cast<size_t>(axis)]);
  return m.b.broadcast(m.operand(m.x()), m.type().shape, axes);
}

/// Adding dimensions of size 1 moves nothing: a reshape, which costs nothing.
ValueId broadcastIsReshape(Match &m) {
  bool same = m.type(m.x()).elements() == m.type().elements();
  return same && m.type(m.x()) != m.type() && m.type(m.x()).rank() > 0 ? m.b.reshape(m.x(), m.type().shape)
                                                                       : kNoValue;
}

ValueId reshapeOfReshape(Match &m) {
  return m.is(m.x(), "reshape") ? m.b.reshape(m.operand(m.x()), m.type().shape) : kNoValue;
}

ValueId transposeOfTranspose(Match &m) {
  if (!m.is(m.x(), "transpose"))
    return kNoValue;
  std::vector<int64_t> inner = m.attrs(m.x()).ints("permutation"), composed;
  for (int64_t axis : m.attrs().ints("permutation"))
    composed.push_back(inner[static_cast<size_t>(axis)]);
  return m.b.transpose(m.operand(m.x()), composed);
}

/// A transpose that keeps the order of all dimensions larger than 1 moves nothing.
ValueId transposeIsReshape(Match &m) {
  std::vector<int64_t> permutation = m.attrs().ints("permutation"), large;
  for (int64_t axis : permutation)
    if (m.type(m.x()).shape[static_cast<int>(axis)] != 1)
      large.push_back(axis);
  return std::ranges::is_sorted(large) ? m.b.reshape(m.x(), m.type().shape) : kNoValue;
}

ValueId transposeIdentity(Match &m) { return isIota(m.attrs().ints("permutation")) ? m.x() : kNoValue; }

ValueId padNothing(Match &m) {
  size_t rank = static_cast<size_t>(m.type().rank());
  bool nothing = allAre(m.attrs().ints("low"), 0) && allAre(m.attrs().ints("high"), 0) &&
                 allAre(listOr(m.attrs(), "interior", rank, 0), 0);
  return nothing || m.type(m.x()) == m.type() ? m.x() : kNoValue;
}

ValueId sliceOfSlice(Match &m) {
  if (!m.is(m.x(), "slice"))
    return kNoValue;
  size_t rank = static_cast<size_t>(m.type().rank());
  Dict inner = m.attrs(m.x()), attrs;
  std::vector<int64_t> start = inner.ints("start"), stride = listOr(inner, "stride", rank, 1), limit(rank);
  std::vector<int64_t> outerStart = m.attrs().ints("start"),
                       outerStride = listOr(m.attrs(), "stride", rank, 1);
  for (size_t i = 0; i < rank; ++i) {
    start[i] += outerStart[i] * stride[i];
    stride[i] *= outerStride[i];
    limit[i] = start[i] + (m.type().shape[static_cast<int>(i)] - 1) * stride[i] + 1;
  }
  attrs.set("start", start);
  attrs.set("limit", limit);
  if (!allAre(stride, 1))
    attrs.set("stride", stride);
  return m.b.create("slice", {m.operand(m.x())}, attrs);
}

ValueId concatOne(Match &m) { return m.numOperands() == 1 ? m.x() : kNoValue; }

ValueId reverseOfReverse(Match &m) {
  bool twice = m.is(m.x(), "reverse") && m.attrs(m.x()).ints("axes") == m.attrs().ints("axes");
  return twice ? m.operand(m.x()) : kNoValue;
}

ValueId reverseNothing(Match &m) {
  bool nothing = std::ranges::all_of(
      m.attrs().ints("axes"), [&](int64_t axis) { return m.type().shape[static_cast<int>(axis)] == 1; });
  return nothing ? m.x() : kNoValue;
}

/// max and min over dimensions of size 1 select their only element. (A sum might start from +0.0.)
ValueId reduceNothing(Match &m) {
  bool nothing = m.type(m.x()).elements() == m.type().elements();
  return nothing ? m.b.reshape(m.x(), m.type().shape) : kNoValue;
}

bool swapsLastTwo(const std::vector<int64_t> &permutation) {
  std::vector<int64_t> swapped = permutation;
  if (swapped.size() < 2)
    return false;
  std::swap(swapped[swapped.size() - 1], swapped[swapped.size() - 2]);
  return isIota(swapped);
}

/// A contraction reads its operand in either order.
ValueId matmulOfTranspose(Match &m) {
  bool flags[2] = {m.attrs().flag("transpose_a"), m.attrs().flag("transpose_b")};
  ValueId operands[2] = {m.x(0), m.x(1)};
  bool changed = false;
  const bool shared =
      m.type(operands[0]).rank() != m.type(operands[1]).rank(); // its rows are not to be turned
  for (size_t i = shared ? 1 : 0; i < 2; ++i)
    if (m.is(operands[i], "transpose") && swapsLastTwo(m.attrs(operands[i]).ints("permutation"))) {
      operands[i] = m.operand(operands[i]);
      flags[i] = !flags[i];
      changed = true;
    }
  return changed ? m.b.matmul(operands[0], operands[1], flags[0], flags[1]) : kNoValue;
}

/// Rows that repeat are multiplied once, as the gradient of a mean over tokens: each sum is the same chain, unless few
/// rows have another order than many.
ValueId matmulOfRepeatedRows(Match &m) {
  const ValueId rows = m.x(0), rhs = m.x(1);
  if (!m.is(rows, "broadcast") || m.type(rhs).rank() != 2 || m.attrs().flag("transpose_a"))
    return kNoValue;
  const ValueId x = m.operand(rows);
  const std::vector<int64_t> axes = m.attrs(rows).ints("axes");
  const Type repeated[] = {m.type(rows), m.type(rhs)}, once[] = {m.type(x), m.type(rhs)};
  if (m.type(x).rank() < 2 || axes.back() != m.type(rows).rank() - 1 ||
      toDict(reductionOrder(m.def(), repeated, m.attrs())) !=
          toDict(reductionOrder(m.def(), once, m.attrs())))
    return kNoValue;
  return m.b.broadcast(m.b.matmul(x, rhs, false, m.attrs().flag("transpose_b")), m.type().shape, axes);
}

ValueId relayoutOfRelayout(Match &m) {
  if (!m.is(m.x(), "relayout"))
    return kNoValue;
  ValueId x = m.operand(m.x());
  return m.type(x) == m.type() ? x : m.b.create("relayout", {x}, m.attrs());
}

} // namespace

std::span<const CanonicalRule> canonicalMovementRules() {
  static const CanonicalRule rules[] = {
      {"identity-movement",
       {"broadcast", "reshape", "slice", "relayout"},
       "reshape(x) to x's own shape == x",
       identity},
      {"movement-of-splat",
       {"reshape", "transpose", "slice", "reverse"},
       "reshape(broadcast(scalar)) == broadcast(scalar)",
       movementOfSplat},
      {"broadcast-of-broadcast",
       {"broadcast"},
       "broadcast(broadcast(x)) == broadcast(x)",
       broadcastOfBroadcast},
      {"broadcast-is-reshape",
       {"broadcast"},
       "broadcast that repeats nothing == reshape",
       broadcastIsReshape},
      {"reshape-of-reshape", {"reshape"}, "reshape(reshape(x)) == reshape(x)", reshapeOfReshape},
      {"transpose-identity", {"transpose"}, "transpose in the order 0, 1, … == x", transposeIdentity},
      {"transpose-of-transpose",
       {"transpose"},
       "transpose(transpose(x)) == transpose(x)",
       transposeOfTranspose},
      {"transpose-is-reshape",
       {"transpose"},
       "transpose that moves only dimensions of size 1 == reshape",
       transposeIsReshape},
      {"pad-nothing", {"pad"}, "pad(x) by nothing == x", padNothing},
      {"slice-of-slice", {"slice"}, "slice(slice(x)) == slice(x)", sliceOfSlice},
      {"concat-one", {"concat"}, "concat(x) == x", concatOne},
      {"reverse-of-reverse", {"reverse"}, "reverse(reverse(x)) == x", reverseOfReverse},
      {"reverse-nothing", {"reverse"}, "reverse of dimensions of size 1 == x", reverseNothing},
      {"reduce-nothing",
       {"reduce_max", "reduce_min"},
       "max over dimensions of size 1 == reshape",
       reduceNothing},
      {"matmul-of-transpose",
       {"matmul"},
       "matmul(transpose(x), y) == matmul(x, y) {transpose_a}",
       matmulOfTranspose},
      {"matmul-of-repeated-rows",
       {"matmul"},
       "matmul(broadcast(x), y) == broadcast(matmul(x, y))",
       matmulOfRepeatedRows},
      {"relayout-of-relayout", {"relayout"}, "relayout(relayout(x)) == relayout(x)", relayoutOfRelayout},
  };
  return rules;
}

} // namespace gradc
