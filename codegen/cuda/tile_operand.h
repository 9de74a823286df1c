// How a tile of one factor of an implicit product (ir/implicit_product.h) comes from memory: which element belongs to
// index i (a column or a row of the result) at step k of the depth, as text.
#pragma once

#include <functional>
#include <string>

#include "codegen/cuda/text.h"
#include "ir/implicit_product.h"
#include "ir/ir.h"

namespace gradc {

/// Names of what a thread has worked out: of an index once for all slabs, of a step of the depth in each.
struct TilePart {
  std::string at = {};                 // the part of the element's number
  std::string height = {}, width = {}; // of its pixel, where taps may be absent
  std::string exists = {};             // a condition on the step; empty: always
};

struct TileOperand {
  std::string pointer = {};
  int64_t extent = 1; // indices
  /// Neighbours in the lanes of a warp: indices, or steps of the depth where those lie side by side.
  bool acrossDepth = false;
  bool vectors = false; // four neighbours are 16 aligned bytes
  std::function<TilePart(CudaText &, const std::string &i)> index = {};
  std::function<TilePart(CudaText &, const std::string &k)> depth = {};
  /// The element's number; and when the tap is present, empty: always.
  std::function<std::string(const TilePart &i, const TilePart &k)> element = {}, present = {};
};

struct TileOperands {
  TileOperand columns, rows;
};

/// Of the contraction `op`; a and b are pointers to its operands (`packed`: b to packed filters). `product` is the text's number of the product: batch ×
/// partial sums.
TileOperands tileOperands(CudaText &text, const Function &fn, OpId op, const std::string &a,
                          const std::string &b, const std::string &product, bool packed = false);

/// Filters of a convolution or of its gradient for images, packed as [group][depth][rows]: so that a slab's rows lie side
/// by side, which they do not as filters lie. Rows are filled up with zeros to a multiple of four.
struct PackedFilters {
  int64_t groups, depth, rows, filledRows;
  int64_t elements() const { return groups * depth * filledRows; }
};
PackedFilters packedFilters(const ImplicitProduct &product);
/// The number in the filters of row `row` of group `group` at step `k`.
std::string filterElement(CudaText &text, const Function &fn, OpId op, const std::string &group,
                          const std::string &k, const std::string &row);

} // namespace gradc
