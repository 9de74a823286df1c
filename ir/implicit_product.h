// A matmul or convolution as products of matrices that share a shape: what a tiled kernel for CUDA computes without ever
// storing the matrices.
//
//   matmul              columns: of rhs                      rows: of lhs      depth: k/split
//   conv2d              columns: n, oh, ow                   rows: filters     depth: kh, kw, channels
//   conv2d_grad_input   columns: n, ih, iw                   rows: channels    depth: kh, kw, filters
//   conv2d_grad_weight  columns: channels, kh, kw            rows: filters     depth: n/16/split, oh, ow
//
// Columns are neighbours in the result's memory. Depth runs in the order of ir/order.h, so one chain of fused
// multiply-adds over it is a partial sum.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ir/ir.h"
#include "ir/spatial.h"

namespace gradc {

struct ImplicitProduct {
  int64_t batch = 1; // independent products: leading dimensions of a matmul, groups of a convolution
  int64_t rows = 1, columns = 1, depth = 1;
  int64_t partials = 1; // partial sums of each element: lanes × split

  double multiplications() const {
    return static_cast<double>(batch) * static_cast<double>(rows) * static_cast<double>(columns) *
           static_cast<double>(depth) * static_cast<double>(partials);
  }
};

/// Of a matmul, whatever its order of additions.
ImplicitProduct matmulProduct(const Function &fn, OpId op);
/// Of an op with trait kContraction. Nothing where lanes run along the depth: dot products of rows.
std::optional<ImplicitProduct> implicitProduct(const Function &fn, OpId op);
/// The same where no order of additions is kept: each element is one sum over all of the depth.
ImplicitProduct withoutPartials(const Function &fn, OpId op, ImplicitProduct product);

/// The forward convolution that a convolution or one of its gradients belongs to.
struct Convolution {
  Window window;
  int64_t batch = 1, channels = 1, filters = 1, groups = 1;
};
Convolution convolutionOf(const Function &fn, OpId op);

/// Of the input's pixels, those whose distance from where windows begin leaves the same rest by the stride: they meet the
/// same taps. Pixel firstPixel + stride · u meets by tap firstTap + tapStep · t the window u + firstWindow − windowStep · t,
/// if there is one.
struct ConvolutionPhase {
  std::array<int64_t, 2> firstPixel{}, pixels{};
  std::array<int64_t, 2> firstTap{}, tapStep{1, 1}, taps{};
  std::array<int64_t, 2> firstWindow{}, windowStep{};

  /// Some pixel meets some tap by no window.
  bool lacksWindows(const Window &window) const;
};
/// In order of the first pixel; all pixels belong to one of them. Some may have no tap.
std::vector<ConvolutionPhase> inputPhases(const Window &window);
/// The part of conv2d_grad_input's product whose columns are a phase's pixels.
ImplicitProduct phaseProduct(const ImplicitProduct &whole, const Convolution &conv,
                             const ConvolutionPhase &phase);

} // namespace gradc
