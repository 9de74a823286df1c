// Pooling layers with the attributes of the model file; the window ops do the work.
#include "ir/spatial.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kX = {{"x"}};
const std::vector<AttrSpec> kAttrs = {sizeAttr("kernel", "height, width of the window"),
                                      {.name = "stride",
                                       .kind = AttrKind::Ints,
                                       .doc = "steps of the window: height, width; the kernel if left out",
                                       .min = 1,
                                       .max = 1 << 20},
                                      {.name = "padding",
                                       .kind = AttrKind::Ints,
                                       .doc = "absent elements around the input: top, bottom, left, right",
                                       .defaultValue = std::vector<int64_t>{0, 0, 0, 0},
                                       .min = 0,
                                       .max = 1 << 20}};

Dict windowAttrs(const Dict &attrs) {
  return {{"window", *attrs.find("kernel")},
          {"stride", *attrs.find(attrs.has("stride") ? "stride" : "kernel")},
          {"padding", *attrs.find("padding")}};
}

Rule<Types> infer(const InferArgs &args) {
  GRADC_REFUSE(notOfLength("kernel", args.attrs.ints("kernel"), 2, "height, width"));
  return opDef("window_max").infer({args.operands, windowAttrs(args.attrs)});
}

std::vector<ValueId> maxExpand(ExpandArgs &args) {
  return {args.b.create("window_max", {args.operands[0]}, windowAttrs(args.attrs))};
}

std::vector<ValueId> averageExpand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId sum = b.create("window_sum", {args.operands[0]}, windowAttrs(args.attrs));
  std::vector<int64_t> kernel = args.attrs.ints("kernel");
  return {b.div(sum, b.splat(b.type(sum), double(kernel[0] * kernel[1])))};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(pool) {
  static const OpDef rows[] = {
      {.name = "max_pool2d",
       .doc = "maximum of each window",
       .operands = kX,
       .attrs = kAttrs,
       .infer = ops::infer,
       .expand = maxExpand},
      {.name = "avg_pool2d",
       .doc = "sum of each window divided by the window's size, padding included",
       .operands = kX,
       .attrs = kAttrs,
       .infer = ops::infer,
       .expand = averageExpand},
  };
  return rows;
}
