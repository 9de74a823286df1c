#include "ir/implicit_product.h"

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "support/check.h"

namespace gradc {

ImplicitProduct matmulProduct(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const Type &a = fn.type(op.operands[0]), &b = fn.type(op.operands[1]), &c = fn.type(op.results[0]);
  const int rank = c.rank();
  const bool transposeA = withDefaults(*op.def, op.attrs).flag("transpose_a");
  ImplicitProduct product{.rows = c.shape[rank - 2],
                          .columns = c.shape[rank - 1],
                          .depth = a.shape[transposeA ? rank - 2 : rank - 1]};
  if (b.rank() < rank) // one rhs for all rows
    product.rows = c.elements() / product.columns;
  product.batch = c.elements() / (product.rows * product.columns);
  return product;
}

Convolution convolutionOf(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const Shape &a = fn.type(op.operands[0]).shape, &b = fn.type(op.operands[1]).shape;
  Convolution conv{.batch = a[0], .groups = attrs.i64("groups")};
  std::array<int64_t, 2> input = planeOf(a), kernel = planeOf(b);
  if (op.def->name == "conv2d_grad_weight") {
    kernel = pairOf(attrs.ints("kernel"));
    conv.channels = a[1];
    conv.filters = b[1];
  } else {
    if (op.def->name == "conv2d_grad_input")
      input = pairOf(attrs.ints("input"));
    conv.channels = b[1] * conv.groups;
    conv.filters = b[0];
  }
  Rule<Window> window = slidingWindow(attrs, input, kernel);
  CHECK(window, "{}", window.error());
  conv.window = *window;
  return conv;
}

std::optional<ImplicitProduct> implicitProduct(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const ReductionOrder order = reductionOrder(fn, id);
  if (op.def->name == "matmul")
    return order.lanes == 1 ? std::optional(matmulProduct(fn, id)) : std::nullopt;
  const Convolution conv = convolutionOf(fn, id);
  const Window &window = conv.window;
  const int64_t channels = conv.channels / conv.groups, filters = conv.filters / conv.groups,
                taps = window.kernel[0] * window.kernel[1];
  ImplicitProduct product{.batch = conv.groups, .rows = filters};
  if (op.def->name == "conv2d") {
    product.columns = conv.batch * window.output[0] * window.output[1];
    product.depth = taps * channels;
  } else if (op.def->name == "conv2d_grad_input") {
    product.rows = channels;
    product.columns = conv.batch * window.input[0] * window.input[1];
    product.depth = taps * filters;
  } else {
    product.columns = channels * taps;
    product.depth = laneBlocks(conv.batch) / order.split * window.output[0] * window.output[1];
    product.partials = order.lanes * order.split;
  }
  return product;
}

} // namespace gradc
