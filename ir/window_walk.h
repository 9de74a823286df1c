// Which kernels code generation walks window by window: a fact that plan-memory relies on, so it is stated once.
#pragma once

#include <optional>

#include "ir/ir.h"
#include "ir/spatial.h"

namespace gradc {

/// A window_max_grad whose windows cover the images without gaps.
struct WindowWalk {
  OpId op;
  Window window;
  bool disjoint; // each pixel is in one window
  /// In n16, where windows are disjoint, everything that a window's pixels need of the result's shape is read before the
  /// first of its pixels is stored, so that a result may lie over the images. Row-major the walk is the CPU's alone.
  bool mayOverwrite;
};

/// The walk of the region's results of type `result`, if there is one: the region's only window op is a window_max_grad
/// of that shape, the windows of which, in n16, hold a pixel each and leave no gap between them, or, row-major, are
/// disjoint, cover the image and are 2 to 4 pixels wide: 16 side by side are taken together.
std::optional<WindowWalk> windowWalk(const Function &fn, RegionId region, const Type &result);

} // namespace gradc
