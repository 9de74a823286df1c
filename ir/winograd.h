// Winograd's F(m×n, r×r): the second algorithm of conv2d and its gradients (A. Lavin and S. Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016). Tiles of m×n results of a kernel of r×r come from patches of
// (m+r-1)×(n+r-1) of the operand, by so many multiplications for each pair of channels instead of m·n·r²:
//
//   kernel   tile   patch   multiplications   error (direct)
//   2×2      5×5    6×6      36, not 100      20·10⁻⁷ (2.9): nothing chooses it
//   3×3      4×4    6×6      36, not 144      6.4·10⁻⁷ (2.7)
//   4×4      3×3    6×6      36, not 144      4.5·10⁻⁷ (4.1)
//   5×5      2×4    6×8      48, not 200      5.7·10⁻⁷ (2.4)
//
//   U = G g Gᵀ    once for each pair of channels; g is the kernel, of a gradient turned by 180°
//   V = Bᵀ d B    for each patch d and channel of the operand; what lies in the padding is zero
//   M = Σ U ⊙ V   one chain of multiply-adds over the operand's channels, from +0
//   Y = Aᵀ M A
//
// conv2d_grad_weight correlates patches of 6×6 with the m×m tiles of the gradient, as if those were its kernels, and
// makes the r×r weights: F(r×r, m×m), m + r = 7. From 16 images with 40 tiles each on, 5×5 weights come from patches of 8×8
// and tiles of 4×4: 64 multiplications, not 400, where those of 2×2 need 36, not 100. There U is made of each tile of the
// gradient and channel (zero beyond the map), and
//
//   M = Σ U ⊙ V   adds over the images of all tiles: (block of 16 images, tile's row, tile's column, image of the block)
//                 is the chain's order, and winogradSegments cuts the tiles (not the images) into segments, segment s
//                 having tiles ⌊s·T/S⌋ to ⌊(s+1)·T/S⌋, which a binary tree adds as in ir/order.h. In the last block,
//                 images beyond the batch are zero
//   Y = Aᵀ M A    once for each pair of channels
//
// The matrices are those of the points 0, ±5/8, ±3/2, ∞ where a patch has 6 rows or columns, of 0, ±1/2, ±1, ±2, ∞ where
// it has 8, exact in f32 but for the divisions in G. So Bᵀ depends on the patch alone; G and Aᵀ hold the first r and m
// powers of the points. The errors are the largest of the sum of the products' magnitudes; the usual 0, ±1, ±2, ∞ make
// several times as much for 3×3, and tiles of 4×4 more than twice as much for 5×5. Towards the weights they fall with the
// length of the sums: 3×3 from 5.6·10⁻⁷ for one image of 8×8 to 10⁻⁷ for 64 of 32×32, 4×4 from 6.6·10⁻⁷; a single tile of
// 4×4 made 7·10⁻⁷, so that there are 4 at least. Towards 5×5 weights, whose Aᵀ has the high powers, it is at most
// 5·10⁻⁷: for one image of 27×27 in tiles of 2×2 and 8 segments, for 16
// in tiles of 4×4 and 16 segments. Those with fewer stay direct.
//
// Each transform goes down the columns, then along the rows; its expressions are in codegen/cpu/winograd/winograd_transform.cpp.
// With that every bit is a function of the shapes and the data, as ir/order.h promises. An infinity or a NaN makes its
// whole tile NaN, and all taps of its channel's weights.
#pragma once

#include <optional>
#include <string>

#include "ir/contraction.h"

namespace gradc {

inline constexpr int64_t kWinogradPatch = 6;

/// F(tile×width, kernel×kernel).
struct Winograd {
  int64_t tile = 4, kernel = 3;
  int64_t width = tile;

  /// With patches of 6×6.
  static constexpr Winograd ofKernel(int64_t size) {
    return {.tile = kWinogradPatch + 1 - size, .kernel = size};
  }
  /// Of square tiles: the kernel and the tile in each other's place, as towards the weights.
  constexpr Winograd swapped() const { return {.tile = kernel, .kernel = tile, .width = kernel}; }
  constexpr int64_t patch() const { return tile + kernel - 1; }
  constexpr int64_t patchWidth() const { return width + kernel - 1; }
  constexpr int64_t points() const { return patch() * patchWidth(); }
  constexpr int64_t taps() const { return kernel * kernel; }
  constexpr int64_t pointOf(int64_t row, int64_t column) const { return patchWidth() * row + column; }
  constexpr bool isValid() const {
    auto known = [](int64_t size) { return size == 6 || size == 8; };
    return tile >= 2 && kernel >= 2 && known(patch()) && known(patchWidth());
  }
};

/// What the algorithm needs that the op does not have, or nothing: "stride 1, but got 2×2".
std::optional<std::string> winogradObjection(const Function &fn, OpId op);

/// Of an op that winogradObjection has nothing against.
Winograd winogradOf(const Function &fn, OpId op);

/// True where it is the faster algorithm: decided by the shapes of one example, for it touches bits; towards the weights,
/// of so many that the sums' errors are small.
bool winogradPays(const Function &fn, OpId op);

/// The same of an op whose images are not in n16 yet.
bool winogradWouldPay(const Function &fn, OpId op);

/// Of a gradient towards the weights: how many segments the tiles are cut into, each with sums of its own. From the
/// shapes alone.
int64_t winogradSegments(const Function &fn, OpId op);

/// Rows and columns for the choice of a register tile: channels and tiles, each of them of 16 images. At most half of
/// the tiles, so that there are several items.
ContractionShape winogradShape(const Function &fn, OpId op);

/// "winograd" or "direct": what a kernel's schedule says, or what is done without a word.
std::string_view scheduledAlgorithm(const Function &fn, OpId kernel);

/// The shape for the choice of a register tile, by that algorithm.
ContractionShape algorithmShape(const Function &fn, OpId op, std::string_view algorithm);

} // namespace gradc
