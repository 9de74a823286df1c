// Convolutions and their gradients towards the input, with 16 images in the lanes (layout n16), as register tiles
// of channels × pixels of one row. Weights are scalars that are broadcast.
//
// As they lie, neighbours along the chain (kernel row, column, channel) are far apart: a step of a tile touches a
// cache line for every weight, and channels of images a power of two apart compete for the same few sets of the
// cache. So where there is work enough, a step of its own brings the weights into the order of the tiles
//, and an item copies the rows of the operand that it reads, pixel by pixel, into scratch memory. Items
// that share these rows follow each other, and a thread copies them once.
//
// A tap that would read padding does not exist. Above and below, the loop over the kernel's rows gets shorter at
// run time; left and right, tiles at the border are code of their own that leaves the taps out.
#pragma once

#include "codegen/cpu/contract/tile_kernel.h"

namespace gradc {

/// How the positions of a result and the taps of a kernel address the positions of an operand along one dimension:
/// result position outStart + outStep·j and tap tapStart + tapStep·t read position inStart + inPerOut·j + inPerTap·t,
/// where that lies in the operand. A gradient with stride s has s such phases, everything else one.
struct ConvPhase {
  int64_t outStart = 0, outStep = 1, count = 1;
  int64_t tapStart = 0, tapStep = 1, taps = 1;
  int64_t inStart = 0, inPerOut = 1, inPerTap = 1;
};

struct ConvAxis {
  int64_t inSize = 1;
  std::vector<ConvPhase> phases;

  static ConvAxis forward(int64_t inSize, int64_t outSize, int64_t kernel, int64_t stride, int64_t dilation,
                          int64_t padding);
  /// The operand is the result's gradient. Stride and dilation must not both exceed 1.
  static ConvAxis gradInput(int64_t inputSize, int64_t gradSize, int64_t kernel, int64_t stride,
                            int64_t dilation, int64_t padding);
};

/// Strides in bytes. The result is [blocks·16, groups·channels, height, width]<n16>; each element sums over the
/// kernel's rows, its columns, then `depth` channels of the operand.
struct ConvNest {
  int64_t blocks = 1, groups = 1, channels = 1, depth = 1;
  ConvAxis height, width;
  // Weights, by result channel within the group, group, operand channel and tap.
  int64_t weightChannel = 0, weightGroup = 0, weightDepth = 0, weightRow = 0, weightColumn = 4;
  // Operand, by block, group, channel and position; a pixel is 64 bytes.
  int64_t inBlock = 0, inGroup = 0, inDepth = 0, inRow = 0;
  int64_t kernelHeight = 1, kernelWidth = 1;
  RegisterTile tile;
  // How an item goes through the result: a tile of channels of so many rows of a phase.
  int64_t bandRows = 1;
  bool packWeights = false; // read [tile of channels][kernel row][column][depth][channel]
  bool packInput = false;   // read [row][column][depth] in scratch memory

  int64_t items() const;
  int64_t channelTiles() const { return countTiles(balancedTiles(channels, tile.rows)); }
  int64_t scratchBytes() const;
  int64_t packedWeightBytes() const; // 0: used as they lie
  /// From pixel to pixel of the copy, which is no multiple of a page.
  int64_t packedPixel() const;
};

/// Chooses what is packed and the rows of an item, for the nest's tile and the cache of a core. Neutral in bits.
void blockForCache(ConvNest &nest, int64_t l2Bytes);

/// Emits the loop over the grid items of the step that packs the weights, in the kernel function at the insertion
/// point: a tile of channels each.
void emitPackWeights(Emit &e, const ConvNest &nest, llvm::Value *weights, llvm::Value *packed);
int64_t packWeightsItems(const ConvNest &nest);

/// Emits the loop over grid items in the kernel function at the insertion point. `weights` are the packed ones, where
/// the nest says so.
void emitNest(TileKernels &tiles, const ConvNest &nest, llvm::Value *weights, llvm::Value *input);

} // namespace gradc
