// How a matmul or convolution meets vectors of 16 lanes: which dimension lies in the lanes and what a register
// tile's rows and columns are. Decided from types and layouts alone; the scheduler and the code generators agree
// through it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ir/ir.h"
#include "support/tiling.h"

namespace gradc {

enum class ContractionForm : uint8_t {
  Generic,      // no fast form: element by element
  BatchLanes,   // matmul: lanes = batch (n16 operand a and result); rows = units of b, scalars
  ColumnLanes,  // matmul: lanes = last dimension of b and the result (row-major); rows = rows of a, scalars
  PackedLanes,  // as ColumnLanes, with transpose_b: panels of b are transposed into scratch memory first
  DotLanes,     // matmul by few rows, transpose_b: lanes = partial sums along k; rows = columns of the result
  UnitLanes,    // matmul, transpose_a, all in n16: lanes = rows of the result; rows = columns of b, scalars
  ExampleLanes, // batched matmul in n16: lanes = batch; rows and columns are vectors
  ConvPixels,   // conv2d, conv2d_grad_input, row-major: lanes = neighbouring pixels; rows = channels, scalars
  Conv,         // conv2d, conv2d_grad_input in n16: rows = channels, columns = pixels
  ConvWeight, // conv2d_grad_weight in n16: rows = channels, columns = taps of a kernel row (input channels of a
              // 1×1 kernel); lanes are summed in the end
  ConvTaps,   // the same with columns = all taps of a small kernel
  ChannelLanes, // conv2d_grad_weight by Winograd's algorithm: lanes = channels of the gradient; rows = channels of the
                // image, scalars
  Tiles, // bf16 tiles of 16 × 32 that are packed first: lanes = batch in n16, else the last dimension
};

struct ContractionShape {
  ContractionForm form = ContractionForm::Generic;
  int64_t rows = 1, columns = 1;      // of the result, in units of the tile; of one group or example
  int64_t maxTileRows = kMaxTileRows; // where more would compete for the same set of L1
  /// Blocks of 16, as scalars in n16 are: no tile may cross them, so its rows are a power of two.
  bool rowsInBlocks = false;

  RowOperand rowOperand() const;
};

ContractionShape contractionShape(const OpDef &def, std::span<const Type> operands, const Type &result,
                                  const Dict &attrs);
ContractionShape contractionShape(const Function &fn, OpId op);

/// Whether a weight gradient of a convolution can take the algorithm `pixels` (ir/order.h), as all of row-major f32 do,
/// and its shape then: that of ConvTaps, of a 1×1 kernel ConvWeight.
bool suitsPixels(const Function &fn, OpId op);
ContractionShape pixelsShape(const Function &fn, OpId op);

/// The register tile with the least estimated time.
RegisterTile chooseTile(const ContractionShape &shape, const VectorUnit &unit);
/// The tile, or the next smaller one that the shape allows.
RegisterTile legalTile(const ContractionShape &shape, RegisterTile tile);
/// True for what tiles of bf16 can compute: matrix products of bf16 operands or of f32 ones split into three bf16,
/// convolutions of bf16.
bool suitsTiles(const OpDef &def, std::span<const Type> operands, const Type &result, const Dict &attrs);
bool suitsTiles(const Function &fn, OpId op);
/// Whether a contraction of f32 gains by tiles of bf16, from the shapes of one example alone.
bool tilesPay(const Function &fn, OpId op);

/// As schedules and reports name it: "batch_lanes".
std::string_view contractionFormName(ContractionForm form);

/// The contraction of a kernel's region: the op with trait kContraction. A kernel of kind `contract` has one, the first of
/// a `pair` is the input's gradient.
OpId findContraction(const Function &fn, RegionId region);

/// Whether a kernel is of kind contract or pair.
bool isContractionKernel(const OpData &kernel);

/// The gradients of a dense layer whose weights lie in n16: dX = matmul(dY, W), towards its input, and
/// dW = matmul(dY, X) {transpose_a = true}, all values in n16, of f32.
bool isPackedInputGradient(const Function &fn, OpId op);
bool isPackedWeightGradient(const Function &fn, OpId op);
/// Both in one region, of the same dY, and of arguments. What the region yields is made of one of them.
struct GradientPair {
  OpId input = kNoOp, weights = kNoOp;
};
std::optional<GradientPair> findGradientPair(const Function &fn, RegionId region);
/// By value id: what a region makes of an op's results, these included.
std::vector<bool> descendants(const Function &fn, RegionId region, OpId op);

} // namespace gradc
