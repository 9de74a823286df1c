// Windows that slide over the last two dimensions of [N, C, H, W]: what convolutions and pooling share.
#pragma once

#include <array>

#include "ir/rules.h"

namespace gradc {

/// Sizes and steps of one sliding window, height first.
struct Window {
  std::array<int64_t, 2> input{}, output{}, kernel{}, stride{1, 1}, dilation{1, 1};
  std::array<int64_t, 2> padLow{}, padHigh{}; // top and left; bottom and right

  /// Where tap `k` of the window at `o` reads along a dimension; the tap is absent where this is outside
  /// 0 .. input-1.
  int64_t at(int dim, int64_t o, int64_t k) const {
    return o * stride[dim] - padLow[dim] + k * dilation[dim];
  }
};

/// The window that the attributes stride, padding, dilation (where the op has them) describe, with
/// output = floor((input + padding - (kernel-1)·dilation - 1) / stride) + 1. Refuses lists of the wrong length and
/// windows larger than the padded input.
Rule<Window> slidingWindow(const Dict &attrs, std::array<int64_t, 2> input, std::array<int64_t, 2> kernel);

/// The sizes of a [N, C, H, W] shape's last two dimensions.
inline std::array<int64_t, 2> planeOf(const Shape &shape) { return {shape[2], shape[3]}; }
/// The two numbers of a checked attribute.
inline std::array<int64_t, 2> pairOf(const std::vector<int64_t> &list) { return {list[0], list[1]}; }

/// The attributes that the ops share, in this order; `conv` adds dilation and groups.
std::vector<AttrSpec> slidingAttrs(bool conv);
AttrSpec sizeAttr(std::string_view name, std::string_view doc);

} // namespace gradc
