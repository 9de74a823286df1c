// How a tile of one factor of an implicit product (ir/implicit_product.h) comes from memory: which element belongs to
// index i (a column or a row of the result) at a step of the depth, as text.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "codegen/cuda/text.h"
#include "ir/implicit_product.h"
#include "ir/ir.h"

namespace gradc {

/// Names of what a thread has worked out: of an index once for all slabs, of a step of the depth in each. The element's
/// number is the sum of both parts.
struct TilePart {
  std::string at = {};
  std::string height = {}, width = {}; // of its pixel, where taps may be absent
  std::string exists = {};             // a condition on the step, else the element is zero; empty: always
};

/// An element's number is linear in the place of its step.
struct TileOperand {
  std::string pointer = {};
  int64_t extent = 1; // indices
  /// The loops that the depth is made of, outermost first.
  std::vector<int64_t> loops = {};
  /// Neighbours in the lanes of a warp: indices, or steps of the depth where those lie side by side.
  bool acrossDepth = false;
  bool vectors = false; // four neighbouring indices are 16 aligned bytes
  std::function<TilePart(CudaText &, const std::string &i)> index = {};
  std::function<TilePart(CudaText &, std::span<const std::string> place)> depth = {};
  /// When the tap is present; empty: always.
  std::function<std::string(const TilePart &i, const TilePart &k)> present = {};
  bool channelsWithin = false; // the innermost loop has no say in that
  bool mayEnd = false;         // some steps have a condition to exist
};

struct TileOperands {
  TileOperand columns, rows;
};

/// What the factors are read from, as text.
struct TileFactors {
  std::string a, b;            // pointers to the contraction's operands
  std::string product;         // which one: batch × partial sums
  int64_t packedRows = 0;      // of packed filters, which b is then (codegen/cuda/filters.h)
  ConvolutionPhase phase = {}; // of a gradient for images
  bool whole = false;          // partial sums are no products of their own
};
TileOperands tileOperands(CudaText &text, const Function &fn, OpId op, const TileFactors &from);
/// Of a convolution or one of its gradients (codegen/cuda/convolution_operand.cpp).
TileOperands convolutionOperands(CudaText &text, const Function &fn, OpId op, const TileFactors &from);

// What the texts of operands share.

constexpr int64_t kTileVector = 4; // elements of 16 bytes

/// Numbers of elements are int where that is enough.
inline std::string_view tileNumberType(int64_t elements) {
  return elements < (int64_t{1} << 31) ? "int" : "long long";
}
inline std::string tileTimes(std::string_view value, int64_t factor) {
  return factor == 1 ? std::string(value) : fmt::format("{} * {}", value, factor);
}
/// A pointer moved by a number of products that are `stride` elements apart.
std::string tilePointer(CudaText &text, const std::string &pointer, const std::string &products,
                        int64_t stride);

} // namespace gradc
