#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) { return opDef("reduce_sum").infer(args); }

std::vector<ValueId> expand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId sum = b.reduceSum(args.operands[0], args.attrs.ints("axes"), args.attrs.flag("keep_dims"));
  double count = double(b.type(args.operands[0]).elements()) / double(b.type(sum).elements());
  return {b.div(sum, b.splat(b.type(sum), count))};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(reduce_mean) {
  static const OpDef rows[] = {
      {.name = "reduce_mean",
       .doc = "mean over dimensions",
       .operands = {{"x"}},
       .attrs = {{.name = "axes",
                  .kind = AttrKind::Ints,
                  .doc = "the dimensions to reduce, strictly increasing",
                  .required = true,
                  .min = 0},
                 {.name = "keep_dims",
                  .kind = AttrKind::Bool,
                  .doc = "keep them, with size 1",
                  .defaultValue = false}},
       .infer = ops::infer,
       .expand = ops::expand},
  };
  return rows;
}
