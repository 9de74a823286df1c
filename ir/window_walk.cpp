#include "ir/window_walk.h"

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Results of all taps wait in registers until the window is finished.
constexpr int64_t kMaxTaps = kLanes;
/// So many vectors are loaded for a tap of 16 windows.
constexpr int64_t kMaxWidth = 4;

/// Windows side by side that cover the image.
bool disjoint(const Window &win, int dim) {
  return win.padLow[dim] == 0 && win.stride[dim] == win.kernel[dim] &&
         win.output[dim] * win.kernel[dim] == win.input[dim];
}

/// The windows leave no gap between them, and none lies in the padding as a whole.
bool covering(const Window &win, int dim) {
  return win.stride[dim] <= win.kernel[dim] && win.padLow[dim] < win.kernel[dim] &&
         win.at(dim, win.output[dim] - 1, 0) < win.input[dim];
}

} // namespace

std::optional<WindowWalk> windowWalk(const Function &fn, RegionId region, const Type &result) {
  std::optional<WindowWalk> walk;
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    if (!op.def->is(kWindow))
      continue;
    const Type &type = fn.type(op.results[0]);
    if (walk || op.def->name != "window_max_grad" || !(type.shape == result.shape))
      return std::nullopt;
    const Dict attrs = withDefaults(*op.def, op.attrs);
    const Rule<Window> win = slidingWindow(attrs, planeOf(type.shape), pairOf(attrs.ints("window")));
    CHECK(win, "{}", win.error());
    const bool apart = disjoint(*win, 0) && disjoint(*win, 1);
    const bool overlapping = covering(*win, 0) && covering(*win, 1) && type.dtype == DType::F32;
    const bool inLanes = result.layout == kLayoutN16;
    const bool fits =
        inLanes ? apart || overlapping : apart && win->kernel[1] > 1 && win->kernel[1] <= kMaxWidth;
    if (win->kernel[0] * win->kernel[1] > kMaxTaps || !fits)
      return std::nullopt;
    walk = {id, *win, apart, apart && inLanes};
  }
  return walk;
}

} // namespace gradc
