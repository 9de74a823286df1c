#include "ir/order.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {

namespace {

/// A result with few elements is cut over the batch, so that more than one thread has work, each on the examples that it
/// has computed before.
constexpr int64_t kFewElements = 4096;
constexpr int64_t kMaxSplit = 4;

std::vector<int> reducedAxes(const Shape &shape, const Dict &attrs) {
  std::vector<int> axes;
  if (const Attr *single = attrs.find("axis"); single && single->as<int64_t>())
    axes.push_back(static_cast<int>(*single->as<int64_t>()));
  else if (attrs.has("axes"))
    for (int64_t axis : attrs.ints("axes"))
      axes.push_back(static_cast<int>(axis));
  for (int &axis : axes)
    axis += axis < 0 ? shape.rank() : 0;
  std::ranges::sort(axes);
  return axes;
}

ReductionOrder reduceOrder(const Shape &shape, const Dict &attrs) {
  ReductionOrder order;
  order.axes = reducedAxes(shape, attrs);
  if (order.axes.empty())
    return order;
  if (sumsColumns(shape, order.axes)) {
    while (order.split < kMaxSplit && shape[0] % (2 * order.split) == 0)
      order.split *= 2;
    return order;
  }
  const int last = order.axes.back();
  const bool isReadAsItLies = static_cast<int>(order.axes.size()) == shape.rank() && shape[last] >= kLanes;
  if (!isReadAsItLies && order.axes.front() == 0 && (shape[0] % kLanes == 0 || shape[0] > kLanes / 2))
    order.laneAxis = 0;
  else if (shape[last] >= kLanes)
    order.laneAxis = last;
  order.lanes = order.laneAxis >= 0 ? kLanes : 1;
  return order;
}

/// Few rows by a matrix that lies transposed: each of its rows is streamed once.
constexpr int64_t kFewRows = 8;
constexpr int64_t kDotDepth = 2 * kLanes; // shorter dot products leave lanes idle

/// A batch by a matrix as it lies, as gradients for the inputs of dense layers are: a segment takes rows of the matrix, which
/// are one piece of memory, and of which a thread can keep those that it updates. The segments' sums are few beside the
/// matrix; segments are whole vectors long, as blocks of the depth are.
bool isCutByRows(const Shape &a, const Shape &b) {
  constexpr int64_t kMostRows = 64, kDepths = 8, kLargeMatrix = 1 << 18;
  return a[0] > kFewRows && a[0] <= kMostRows && b[0] >= kDepths * a[0] && b[0] % (kMaxSplit * kLanes) == 0 &&
         b.elements() >= kLargeMatrix;
}

ReductionOrder matmulOrder(const Shape &a, const Shape &b, const Dict &attrs) {
  if (a.rank() != 2 || b.rank() != 2 || attrs.flag("transpose_a"))
    return {};
  if (!attrs.flag("transpose_b"))
    return {.split = isCutByRows(a, b) ? kMaxSplit : 1};
  if (a[0] > kFewRows || a[1] < kDotDepth)
    return {};
  return {.lanes = kLanes, .laneAxis = 1};
}

/// x: f32[N,C,H,W], dy: f32[N,F,OH,OW] -> f32[F,C/groups,kh,kw]
ReductionOrder weightGradientOrder(const Shape &x, const Shape &dy, const Dict &attrs) {
  ReductionOrder order{.lanes = kLanes, .laneAxis = 0};
  const std::vector<int64_t> kernel = attrs.ints("kernel");
  const int64_t elements = dy[1] * (x[1] / attrs.i64("groups")) * kernel[0] * kernel[1];
  const int64_t blocks = laneBlocks(x[0]);
  while (elements < kFewElements && order.split < kMaxSplit && blocks % (2 * order.split) == 0)
    order.split *= 2;
  return order;
}

} // namespace

ReductionOrder reductionOrder(const OpDef &def, std::span<const Type> operands, const Dict &attrs) {
  CHECK(def.is(kReduction) || def.is(kContraction) || def.is(kWindow), "{} does not reduce", def.name);
  const Dict full = withDefaults(def, attrs);
  if (def.name == "matmul")
    return matmulOrder(operands[0].shape, operands[1].shape, full);
  if (def.name == "conv2d_grad_weight")
    return weightGradientOrder(operands[0].shape, operands[1].shape, full);
  if (def.is(kReduction) && (full.has("axes") || def.name == "argmax"))
    return reduceOrder(operands[0].shape, full);
  return {};
}

bool sumsColumns(const Shape &shape, const std::vector<int> &axes) {
  const int rank = shape.rank();
  return rank > 2 && static_cast<int>(axes.size()) == rank - 1 && axes.back() == rank - 2 &&
         shape[rank - 1] >= kLanes;
}

ReductionOrder reductionOrder(const Function &fn, OpId op) {
  std::vector<Type> operands;
  for (ValueId v : fn[op].operands)
    operands.push_back(fn[v].type);
  return reductionOrder(*fn[op].def, operands, fn[op].attrs);
}

Dict toDict(const ReductionOrder &order) {
  Dict dict;
  if (order.lanes != 1)
    dict.set("lanes", order.lanes);
  if (order.split != 1)
    dict.set("split", order.split);
  return dict;
}

} // namespace gradc
