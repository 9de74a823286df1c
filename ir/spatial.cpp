#include "ir/spatial.h"

namespace gradc {

Rule<Window> slidingWindow(const Dict &attrs, std::array<int64_t, 2> input, std::array<int64_t, 2> kernel) {
  Window w{.input = input, .kernel = kernel};
  std::vector<int64_t> stride = attrs.ints("stride"), padding = attrs.ints("padding");
  GRADC_REFUSE(notOfLength("stride", stride, 2, "height, width"));
  GRADC_REFUSE(notOfLength("padding", padding, 4, "top, bottom, left, right"));
  w.stride = pairOf(stride);
  w.padLow = {padding[0], padding[2]};
  w.padHigh = {padding[1], padding[3]};
  if (attrs.has("dilation")) {
    GRADC_REFUSE(notOfLength("dilation", attrs.ints("dilation"), 2, "height, width"));
    w.dilation = pairOf(attrs.ints("dilation"));
  }
  for (int dim : {0, 1}) {
    int64_t padded = input[dim] + w.padLow[dim] + w.padHigh[dim],
            span = (kernel[dim] - 1) * w.dilation[dim] + 1;
    if (span > padded)
      return refuse("the window spans {} in {} but the padded input has {}", span, dim ? "width" : "height",
                    padded);
    w.output[dim] = (padded - span) / w.stride[dim] + 1;
  }
  return w;
}

std::vector<AttrSpec> slidingAttrs(bool conv) {
  constexpr double kMost = 1 << 20; // products of two stay far below 2^63
  std::vector<AttrSpec> attrs = {{.name = "stride",
                                  .kind = AttrKind::Ints,
                                  .doc = "steps of the window: height, width",
                                  .defaultValue = std::vector<int64_t>{1, 1},
                                  .min = 1,
                                  .max = kMost},
                                 {.name = "padding",
                                  .kind = AttrKind::Ints,
                                  .doc = "absent elements around the input: top, bottom, left, right",
                                  .defaultValue = std::vector<int64_t>{0, 0, 0, 0},
                                  .min = 0,
                                  .max = kMost}};
  if (conv) {
    attrs.push_back({.name = "dilation",
                     .kind = AttrKind::Ints,
                     .doc = "distance of the taps: height, width",
                     .defaultValue = std::vector<int64_t>{1, 1},
                     .min = 1,
                     .max = kMost});
    attrs.push_back({.name = "groups",
                     .kind = AttrKind::I64,
                     .doc = "channels are cut into this many groups that do not see each other",
                     .defaultValue = int64_t{1},
                     .min = 1,
                     .max = kMost});
  }
  return attrs;
}

AttrSpec sizeAttr(std::string_view name, std::string_view doc) {
  return {.name = name, .kind = AttrKind::Ints, .doc = doc, .required = true, .min = 1, .max = 1 << 20};
}

} // namespace gradc
