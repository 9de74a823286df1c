// What convolutions and their gradients towards the input read, however they are walked.
#pragma once

#include "codegen/cpu/contract/conv_axis.h"
#include "ir/attribute.h"

namespace gradc {

/// Strides in bytes. The result is [images, groups·channels, height, width]; each element sums over the kernel's rows,
/// its columns, then `depth` channels of the operand.
struct ConvOperands {
  int64_t groups = 1, channels = 1, depth = 1; // channels of the result and of the operand: per group
  ConvAxis height, width;
  // Weights, by result channel within the group, group, operand channel and tap.
  int64_t weightChannel = 0, weightGroup = 0, weightDepth = 0, weightRow = 0, weightColumn = 0;
  // Operand, by image (n16: by block of 16), group, channel, row and pixel.
  int64_t inImage = 0, inGroup = 0, inDepth = 0, inRow = 0, inPixel = 0;
};

/// Of a conv2d, or conv2d_grad_input, with complete attributes.
ConvOperands convOperands(const Type &in, const Type &weights, const Shape &result, const Dict &attrs,
                          bool gradient);

} // namespace gradc
