// Gradients of convolutions towards the weights by bf16 tiles (tile_product.h), with 16 images in the lanes (layout
// n16).
//
// The depth of a product is 16 images of two neighbouring pixels: the gradient's rows lie like that already, and are
// only copied; of the input, 16 channels by two pixels are transposed. An item is 32 channels of the input and some of
// the gradient, all taps: it goes through the images in bands of rows, copies a band of both operands into scratch
// memory, and adds to sums that wait there, 4 KiB for each tap and 32 channels of the gradient. Pixels of the input lie
// in a row of 512 bytes each, those of one phase of the stride next to each other, so that the copy serves all taps.
//
// The chain of a sum: blocks of 16 images, rows of the gradient that meet the input, pairs of its pixels. What is beside
// the input, or missing in the last pair, counts as zero.
#pragma once

#include "codegen/cpu/contract/conv_weight_nest.h"
#include "codegen/cpu/contract/epilogue.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// Strides in bytes. The result is [channels, depth, height.taps, width.taps] in row-major order.
struct TileConvWeight {
  int64_t blocks = 1, channels = 1, depth = 1; // channels of the gradient and of the input
  ConvWeightAxis height, width;
  DType gradType = DType::BF16, inputType = DType::BF16;
  int64_t gradBlock = 0, gradChannel = 0, gradRow = 0, gradPixel = 0;
  int64_t inBlock = 0, inDepth = 0, inRow = 0, inPixel = 0;
  int64_t groupPanels = 1, bandRows = 1; // of an item: panels of 32 channels of the gradient; rows at a time

  int64_t taps() const { return height.taps * width.taps; }
};

/// The plan of a conv2d_grad_weight that suits tiles (ir/contraction.h), for a core's cache.
TileConvWeight planTileConvWeight(const Function &fn, OpId op, int64_t l2Bytes);

/// Emits the kernel's functions. Buffers are numbers in the kernel's list.
KernelCode emitTileConvWeight(KernelContext &k, const TileConvWeight &plan, EpilogueStore &store,
                              int gradBuffer, int inputBuffer);

} // namespace gradc
