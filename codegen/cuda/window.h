// The gradient of max pooling where windows overlap, in two steps: one finds the largest tap of every window once, the
// other adds for each pixel the gradients of the windows that it won.
#pragma once

#include "codegen/cuda/element.h"
#include "ir/spatial.h"

namespace gradc {

inline constexpr int64_t kMaxWinnerTaps = 256; // a tap's number is a byte
inline constexpr std::string_view kWinnerType = "unsigned char";

/// The window of a window_max_grad.
Window cudaWindowOf(const Function &fn, OpId op);
/// The number of the largest tap of a window [N, C, OH, OW]: the first of equals, or the first NaN.
std::string cudaWindowWinner(CudaElements &m, OpId op, const CudaIndices &window);
/// A pixel's gradient from the winners of all windows, in memory at `winners`.
std::string cudaWindowGradient(CudaElements &m, OpId op, const CudaIndices &at, std::string_view winners);

} // namespace gradc
