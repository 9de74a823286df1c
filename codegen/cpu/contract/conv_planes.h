// Row-major operands of a convolution's weight gradient, copied into an order in which 16 neighbouring pixels of the
// gradient meet 16 neighbours of the image, whatever the tap, the stride and the padding: algorithm `pixels` of ir/order.h.
//
// An image of the gradient is written with `pitch` positions a row, the last ones zero, and is counted in vectors of 16. The
// image is written once for each phase of the strides that a tap reads: position (r, p) of phase (a, b) is pixel
// (a + r·stride, b + p·stride), or zero beyond the image, with the gradient's pitch. So position q of the gradient meets
// position q + shift of a phase, and a tap is a phase and a shift: a number of bytes.
//
// All images of a channel are neighbours: a 1×1 kernel, of which nothing is padded, sees one long row of pixels.
#pragma once

#include <vector>

#include "codegen/cpu/contract/conv_weight_nest.h"

namespace gradc {

/// How one operand, [images, channels, rows, columns], is copied to [channels, phases, images, …].
struct PlaneCopy {
  int64_t images = 1, channels = 1, rows = 1, columns = 1;
  int64_t rowStride = 1, columnStride = 1;
  std::vector<int64_t> firstRows, firstColumns; // by phase: the first pixels, which may lie in the padding
  int64_t lines = 1, pitch = 1;                 // positions of an image, those of a line …
  int64_t imageBytes = 0;                       // … and what an image takes with zeros behind it

  int64_t phaseBytes() const;
  int64_t channelBytes() const { return std::ssize(firstRows) * std::ssize(firstColumns) * phaseBytes(); }
  int64_t bytes() const { return channels * channelBytes(); }
};

struct ConvPlanes {
  PlaneCopy grad, image;
  int64_t blocks = 1,
          vectors = 1; // what the nest goes through: images, and vectors of each; or all vectors at once
  std::vector<int64_t> tapOffsets; // in bytes

  int64_t bytes() const { return grad.bytes() + image.bytes(); }
};

/// Of x and dy, [N, C, H, W] both, with `height` and `width` as they lie.
ConvPlanes convPlanes(const ConvWeightAxis &height, const ConvWeightAxis &width, const Shape &x,
                      const Shape &dy);

/// The loop over the items of the step that copies, which are channels.
void emitPlaneCopy(Emit &e, const PlaneCopy &copy, llvm::Value *source, llvm::Value *target);

} // namespace gradc
