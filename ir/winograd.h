// Winograd's F(4×4, 3×3): the second algorithm of conv2d and conv2d_grad_input. Tiles of 4×4 results come from
// patches of 6×6 of the operand by 36 multiplications for each pair of channels instead of 144 (A. Lavin and S. Gray,
// "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).
//
//   U = G g Gᵀ    once for each pair of channels; g is the 3×3 kernel, of a gradient turned by 180°
//   V = Bᵀ d B    for each patch d and channel of the operand; what lies in the padding is zero
//   M = Σ U ⊙ V   one chain of multiply-adds over the operand's channels, from +0
//   Y = Aᵀ M A
//
// The matrices are those of the points 0, ±5/8, ±3/2, ∞, exact in f32 but for the divisions in G. Against the usual
// 0, ±1, ±2, ∞ they make a quarter of the error: within 5·10⁻⁷ of the sum of the products' magnitudes, about twice
// what the direct chain makes. Each transform goes down the columns, then along the rows; its expressions are in
// codegen/cpu/winograd_transform.cpp. With that every bit is a function of the shapes and the data, as ir/order.h
// promises. An infinity or a NaN makes its whole tile NaN.
#pragma once

#include <optional>
#include <string>

#include "ir/contraction.h"

namespace gradc {

inline constexpr int64_t kWinogradTile = 4, kWinogradPatch = 6, kWinogradPoints = 36;

/// What the algorithm needs that the op does not have, or nothing: "stride 1, but got 2×2".
std::optional<std::string> winogradObjection(const Function &fn, OpId op);

/// True where it is the faster algorithm: decided by the shapes of one example, for it touches bits.
bool winogradPays(const Function &fn, OpId op);

/// Rows and columns for the choice of a register tile: channels and tiles, each of them of 16 images. At most half of
/// the tiles, so that there are several items.
ContractionShape winogradShape(const Type &result);

/// "winograd" or "direct": what a kernel's schedule says, or what is done without a word.
std::string_view scheduledAlgorithm(const Function &fn, OpId kernel);

} // namespace gradc
