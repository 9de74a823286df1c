#include "ir/window_walk.h"

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Results of all taps wait in registers until the window is finished.
constexpr int64_t kMaxTaps = kLanes;

bool tiles(const Window &win) {
  for (int dim : {0, 1})
    if (win.stride[dim] != win.kernel[dim] || win.output[dim] * win.kernel[dim] != win.input[dim])
      return false;
  return win.kernel[0] * win.kernel[1] <= kMaxTaps;
}

} // namespace

std::optional<WindowWalk> windowWalk(const Function &fn, RegionId region, const Type &result) {
  std::optional<WindowWalk> walk;
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    if (!op.def->is(kWindow))
      continue;
    const Type &type = fn.type(op.results[0]);
    if (walk || op.def->name != "window_max_grad" || !(type.shape == result.shape) ||
        result.layout != kLayoutN16)
      return std::nullopt;
    const Dict attrs = withDefaults(*op.def, op.attrs);
    const Rule<Window> win = slidingWindow(attrs, planeOf(type.shape), pairOf(attrs.ints("window")));
    CHECK(win, "{}", win.error());
    if (!tiles(*win))
      return std::nullopt;
    walk = {id, *win};
  }
  return walk;
}

} // namespace gradc
