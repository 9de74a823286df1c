// Convolutions and their gradients towards the input by bf16 tiles (tile_product.h), with 16 images in the lanes
// (layout n16).
//
// Rows of a tile of sums are channels of the result, columns the 16 images of one pixel; so a finished row is a vector
// of the result as it lies. Two steps. `pack` makes tiles of the weights in the kernel's workspace. Then an item takes
// a band of rows of 16 images, and copies what it reads into the worker's scratch memory: pixel by pixel, two
// neighbouring channels of the 16 images in a line of 64 bytes. Sixteen lines that follow each other are a tile of the
// column operand wherever they begin, so the copy serves all taps as it is.
//
// The chain of a sum: kernel rows that meet the operand, in the operand's order; of each the pixels under the kernel and
// their channels, rounded up to an even number, cut into pieces of 32. Pixels beside the operand count as zero.
#pragma once

#include "codegen/cpu/contract/conv_operands.h"
#include "codegen/cpu/contract/epilogue.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// Taps that follow each other read neighbouring positions, up or down. There is one group.
struct TileConv : ConvOperands {
  int64_t blocks = 1; // of images, of the result
  DType weightType = DType::F32, inputType = DType::BF16;
  int64_t bandRows = 1; // of the result, in an item
};

/// The position of the operand that comes first under the kernel, for the first result of a phase.
int64_t firstPosition(const ConvPhase &phase);

/// How large the copy of the operand is, and how tiles go through it.
struct TileConvSizes {
  static constexpr int64_t kLine = 64; // two channels of 16 images

  explicit TileConvSizes(const TileConv &plan);

  int64_t pairs;             // of channels
  int64_t low = 0, high = 1; // columns of the operand that are copied; zeros where there are none

  /// The pixels under a kernel row, as tiles: `groups` a pixel apart of `pieces` in a row.
  struct Walk {
    int64_t groups = 0, pieces = 0;
    int64_t tiles() const { return groups * pieces; }
  };
  Walk walk(const ConvPhase &phase) const;
  int64_t pixelPitch() const;
  int64_t rowPitch() const { return (high - low) * pixelPitch() + slack(); }
  /// Zeros after a row, where its last tile reaches beyond the last pixel.
  int64_t slack() const;
  /// Of all phases, in one block of images.
  int64_t bands() const;
  int64_t operandBytes() const;

private:
  bool wholePixels() const; // tiles do not reach into the next pixel

  const TileConv &plan_;
};

/// The plan of a conv2d or conv2d_grad_input that suits tiles (ir/contraction.h), for a core's cache.
TileConv planTileConv(const Function &fn, OpId op, int64_t l2Bytes);

/// Emits the kernel's functions. Buffers are numbers in the kernel's list.
KernelCode emitTileConv(KernelContext &k, const TileConv &plan, EpilogueStore &store, int weightBuffer,
                        int inputBuffer);

} // namespace gradc
