#include "ir/implicit_product.h"

#include <numeric>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "support/check.h"
#include "support/tiling.h"

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

bool ConvolutionPhase::lacksWindows(const Window &window) const {
  for (size_t dim : {0, 1})
    if (firstWindow[dim] < windowStep[dim] * (taps[dim] - 1) ||
        firstWindow[dim] + pixels[dim] > window.output[dim])
      return true;
  return false;
}

namespace {

/// Along one dimension, of the pixels at a distance of `rest` modulo the stride.
void setPhase(ConvolutionPhase &phase, const Window &window, size_t dim, int64_t rest) {
  const int64_t stride = window.stride[dim], dilation = window.dilation[dim];
  const int64_t first = ((rest - window.padLow[dim]) % stride + stride) % stride;
  phase.firstPixel[dim] = first;
  phase.pixels[dim] = first < window.input[dim] ? ceilDiv(window.input[dim] - first, stride) : 0;
  phase.tapStep[dim] = stride / std::gcd(stride, dilation);
  int64_t tap = 0;
  while (tap < window.kernel[dim] && tap * dilation % stride != rest)
    ++tap;
  phase.firstTap[dim] = tap;
  phase.taps[dim] = ceilDiv(window.kernel[dim] - tap, phase.tapStep[dim]);
  phase.windowStep[dim] = phase.tapStep[dim] * dilation / stride;
  if (phase.taps[dim] > 0)
    phase.firstWindow[dim] = (first + window.padLow[dim] - tap * dilation) / stride;
}

} // namespace

std::vector<ConvolutionPhase> inputPhases(const Window &window) {
  std::vector<ConvolutionPhase> phases;
  for (int64_t h = 0; h < window.stride[0]; ++h)
    for (int64_t w = 0; w < window.stride[1]; ++w) {
      ConvolutionPhase phase;
      setPhase(phase, window, 0, h);
      setPhase(phase, window, 1, w);
      if (phase.pixels[0] * phase.pixels[1] > 0)
        phases.push_back(phase);
    }
  return phases;
}

ImplicitProduct phaseProduct(const ImplicitProduct &whole, const Convolution &conv,
                             const ConvolutionPhase &phase) {
  ImplicitProduct product = whole;
  product.columns = conv.batch * phase.pixels[0] * phase.pixels[1];
  product.depth = phase.taps[0] * phase.taps[1] * (conv.filters / conv.groups);
  return product;
}

std::optional<ImplicitProduct> implicitProduct(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const ReductionOrder order = reductionOrder(fn, id);
  if (op.def->name == "matmul") {
    if (order.lanes != 1)
      return std::nullopt;
    ImplicitProduct product = matmulProduct(fn, id);
    product.depth /= order.split;
    product.partials = order.split;
    return product;
  }
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

ImplicitProduct withoutPartials(const Function &fn, OpId id, ImplicitProduct product) {
  if (fn[id].def->name == "conv2d_grad_weight") { // whose lanes may lack examples
    const Convolution conv = convolutionOf(fn, id);
    product.depth = conv.batch * conv.window.output[0] * conv.window.output[1];
  } else {
    product.depth *= product.partials;
  }
  product.partials = 1;
  return product;
}

} // namespace gradc
