// The order in which a reduction adds: a function of the op and its logical shapes alone, never of layout,
// instruction set, thread count or tuning. Code generation follows it exactly, so results have the same bits
// everywhere; the interpreter sums in double and is compared within tolerance.
//
// Every output element is the sum of `lanes` x `split` partial sums. A partial sum is one chain that starts
// at +0 (maximum: -inf, minimum: +inf) and takes its terms one by one: fma(a, b, sum) in contractions, sum +
// x in reduce_sum. The chain's dimensions, outermost first:
//
//   matmul              k; with few rows and transpose_b, lanes = 16 along k: dot products of rows as they lie;
//                       split = 4 where a batch of up to 64 meets a large matrix as it lies: rows of it in a segment
//   conv2d              kh, kw, input channel of the group; taps in the padding are absent
//   conv2d_grad_input   kh, kw, output channel of the group; taps that do not exist are absent
//   conv2d_grad_weight  n, oh, ow; terms in the padding are absent
//   (all three by the algorithm that ir/winograd.h describes, where the schedule names it; conv2d_grad_weight by that
//   of `pixels`, below)
//   reduce_*            `axes`, ascending; lanes = 16 along the batch, else, and where all axes are reduced,
//                       along the last of them, if it has as many
//   window_sum          kh, kw          window_*_grad   oh, ow of the windows that hold the element,
//   ascending scatter_add         position in the list of indices, ascending
//
// conv2d_grad_weight has lanes = 16 along n for every batch. Where that is no multiple of 16, a lane without an example
// takes fma(+0, +0, sum) for each term: the padding of layout n16 (ir/layout.h) does the same.
//
// The algorithm `pixels` of conv2d_grad_weight has lanes = 16 along the positions of an image's gradient: pixel (oh, ow)
// is position q = oh·P + ow, P being the gradient's width and, along it, the distance between the first and the last tap
// in strides, ⌊((kw-1)·dilation - padding)/stride⌋ - ⌊-padding/stride⌋; it belongs to partial sum q % 16, whose chain is
// (n, q / 16). Terms in the padding and positions between rows are products with +0, which change no finite sum. Of a
// 1×1 kernel q counts the pixels of all images in order.
//
// lanes = 16: term i along `laneAxis` belongs to partial sum i % 16, whose chain takes i / 16 in its place;
// if laneAxis is 0 the chain's dimension i / 16 stays outermost. split = S: the chain's outermost dimension
// (after lanes, n / 16) is cut into S equal segments, each with partial sums of its own. Then the lanes of a
// segment are added by a binary tree, p[j] += p[j + h] for h = 8, 4, 2, 1, and then the segments likewise for
// h = S/2, ..., 1. maximum and minimum combine the same way. Sums of the columns of [N, ..., D] have segments in
// place of lanes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/ir.h"

namespace gradc {

struct ReductionOrder {
  int64_t lanes = 1; // 1 or 16
  int laneAxis = -1; // of operand 0, where lanes is 16
  int64_t split = 1; // a power of two that divides the outermost chain dimension
  /// reduce_*: the reduced axes, ascending, none negative. Empty for the other ops.
  std::vector<int> axes;

  bool operator==(const ReductionOrder &) const = default;
};

/// For ops with trait kReduction, kContraction or kWindow (CHECK).
ReductionOrder reductionOrder(const OpDef &def, std::span<const Type> operands, const Dict &attrs);
ReductionOrder reductionOrder(const Function &fn, OpId op);

/// Whether a reduction over these axes leaves the last dimension alone, of three or more, wide enough for the lanes.
bool sumsColumns(const Shape &shape, const std::vector<int> &axes);

/// As schedules print it: {lanes = 16, split = 4}; what is 1 is left out.
Dict toDict(const ReductionOrder &order);

} // namespace gradc

// Products of bf16 tiles (matmul and convolutions of bf16; matmul of f32 with the algorithm amx6) have another chain,
// docs/precision.md: blocks of 32 neighbours of the depth in order, each added as the sum of a chain over its even terms
// and one over its odd terms.
