#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &logits = args.operands[0], &labels = args.operands[1];
  GRADC_REFUSE(notFloat("logits", logits));
  GRADC_REFUSE(notOfRank("logits", logits, 2));
  if (labels.dtype != DType::I32 || !(labels.shape == Shape{logits.shape[0]}))
    return refuse("logits is {} but labels is {}, which must be i32[{}]", toString(logits), toString(labels),
                  logits.shape[0]);
  return oneType(logits.dtype, labels.shape);
}

std::vector<ValueId> expand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId predicted = b.create("argmax", {args.operands[0]}, {{"axis", int64_t{1}}});
  return {b.cast(b.create("eq", {predicted, args.operands[1]}), b.type(args.operands[0]).dtype)};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(accuracy) {
  static const OpDef rows[] = {
      {.name = "accuracy",
       .doc = "for each row 1 if its largest logit is the label's, else 0",
       .operands = {{"logits"}, {"labels"}},
       .infer = ops::infer,
       .notDifferentiable = "it counts correct answers",
       .expand = ops::expand},
  };
  return rows;
}
