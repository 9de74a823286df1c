#include "ir/cost.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

double elements(const Function &fn, ValueId value) { return static_cast<double>(fn.type(value).elements()); }

/// Every element of one operand meets every element of the result that it takes part in: taps that lie in the
/// padding are counted.
double contractionFlops(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const Type &a = fn.type(op.operands[0]), &b = fn.type(op.operands[1]), &out = fn.type(op.results[0]);
  if (op.def->name == "matmul") {
    const bool transposed = withDefaults(*op.def, op.attrs).flag("transpose_a");
    return 2 * static_cast<double>(out.elements()) *
           static_cast<double>(a.shape[a.rank() - (transposed ? 2 : 1)]);
  }
  // The forward convolution that the op belongs to: its map of results times the weights of one filter.
  const Type &weights = op.def->name == "conv2d_grad_weight" ? out : b;
  const Type &map = op.def->name == "conv2d" ? out : op.def->name == "conv2d_grad_weight" ? b : a;
  return 2 * static_cast<double>(map.elements()) * static_cast<double>(weights.elements() / weights.shape[0]);
}

double flopsOf(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  if (op.def->is(kContraction))
    return contractionFlops(fn, id);
  if (op.def->is(kMovement) || op.operands.empty() || op.results.empty())
    return 0;
  return std::max(elements(fn, op.results[0]), elements(fn, op.operands[0]));
}

} // namespace

Cost costOf(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  Cost cost;
  for (ValueId value : op.operands)
    cost.bytes += static_cast<double>(storageBytes(fn.type(value)));
  for (ValueId value : op.results)
    cost.bytes += static_cast<double>(storageBytes(fn.type(value)));
  if (op.regions.empty())
    cost.flops = flopsOf(fn, id);
  for (RegionId region : op.regions)
    forEachOp(fn, region, [&](OpId inner) { cost.flops += flopsOf(fn, inner); });
  return cost;
}

} // namespace gradc
