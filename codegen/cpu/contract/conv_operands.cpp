#include "codegen/cpu/contract/conv_operands.h"

#include <utility>

#include "ir/layout.h"

namespace gradc {

ConvOperands convOperands(const Type &in, const Type &weights, const Shape &result, const Dict &attrs,
                          bool gradient) {
  const std::vector<int64_t> stride = attrs.ints("stride"), padding = attrs.ints("padding"),
                             dilation = attrs.ints("dilation");
  const Shape &x = in.shape, &w = weights.shape;
  auto axis = [&](int i, int64_t low) {
    return gradient ? ConvAxis::gradInput(result[2 + i], x[2 + i], w[2 + i], stride[i], dilation[i], low)
                    : ConvAxis::forward(x[2 + i], result[2 + i], w[2 + i], stride[i], dilation[i], low);
  };
  ConvOperands c;
  c.groups = attrs.i64("groups");
  c.channels = result[1] / c.groups;
  c.depth = x[1] / c.groups;
  c.height = axis(0, padding[0]);
  c.width = axis(1, padding[2]);

  c.weightColumn = static_cast<int64_t>(dtypeSize(weights.dtype));
  c.weightRow = w[3] * c.weightColumn;
  c.weightDepth = w[2] * c.weightRow;
  c.weightChannel = w[1] * c.weightDepth;
  c.weightGroup = w[0] / c.groups * c.weightChannel;
  if (gradient)
    std::swap(c.weightChannel, c.weightDepth);

  c.inPixel = static_cast<int64_t>(dtypeSize(in.dtype)) * (in.layout == kLayoutN16 ? kLanes : 1);
  c.inRow = x[3] * c.inPixel;
  c.inDepth = x[2] * c.inRow;
  c.inGroup = c.depth * c.inDepth;
  c.inImage = c.groups * c.inGroup;
  return c;
}

} // namespace gradc
