// Winograd's F(m×m, r×r), m + r = 7: the second algorithm of conv2d and conv2d_grad_input. Tiles of m×m results of a
// kernel of r×r come from patches of 6×6 of the operand by 36 multiplications for each pair of channels instead of
// m²·r²: of 3×3, 144; of 5×5, 100 (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks",
// CVPR 2016).
//
//   U = G g Gᵀ    once for each pair of channels; g is the kernel, of a gradient turned by 180°
//   V = Bᵀ d B    for each patch d and channel of the operand; what lies in the padding is zero
//   M = Σ U ⊙ V   one chain of multiply-adds over the operand's channels, from +0
//   Y = Aᵀ M A
//
// The matrices are those of the points 0, ±5/8, ±3/2, ∞, exact in f32 but for the divisions in G. All of the family
// share Bᵀ; G and Aᵀ hold the first r and m powers of the points. Of the sum of the products' magnitudes the error is at
// most 6.4·10⁻⁷ for 3×3 (direct 2.7), 4.5·10⁻⁷ for 4×4 (4.1), 2.3·10⁻⁷ for 5×5 (2.4); the usual 0, ±1, ±2, ∞ make
// several times that. For 2×2 it is 20·10⁻⁷, so nothing chooses it. Each transform goes down the columns, then along the
// rows; its expressions are in codegen/cpu/winograd_transform.cpp. With that every bit is a function of the shapes and
// the data, as ir/order.h promises. An infinity or a NaN makes its whole tile NaN.
#pragma once

#include <optional>
#include <string>

#include "ir/contraction.h"

namespace gradc {

inline constexpr int64_t kWinogradPatch = 6, kWinogradPoints = kWinogradPatch * kWinogradPatch;

/// F(tile×tile, kernel×kernel).
struct Winograd {
  int64_t tile = 4, kernel = 3;

  static constexpr Winograd ofKernel(int64_t size) { return {kWinogradPatch + 1 - size, size}; }
  constexpr bool isValid() const { return tile >= 2 && kernel >= 2 && tile + kernel == kWinogradPatch + 1; }
  constexpr int64_t taps() const { return kernel * kernel; }
};

/// What the algorithm needs that the op does not have, or nothing: "stride 1, but got 2×2".
std::optional<std::string> winogradObjection(const Function &fn, OpId op);

/// Of an op that winogradObjection has nothing against.
Winograd winogradOf(const Function &fn, OpId op);

/// True where it is the faster algorithm: decided by the shapes of one example, for it touches bits.
bool winogradPays(const Function &fn, OpId op);

/// Rows and columns for the choice of a register tile: channels and tiles, each of them of 16 images. At most half of
/// the tiles, so that there are several items.
ContractionShape winogradShape(const Function &fn, OpId op);

/// "winograd" or "direct": what a kernel's schedule says, or what is done without a word.
std::string_view scheduledAlgorithm(const Function &fn, OpId kernel);

} // namespace gradc
