// softmax, its logarithm, and the cross-entropy of both with labels. The maximum is subtracted first, so no
// exponential overflows; the gradients are their own and never differentiate that maximum.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

const std::vector<OperandSpec> kX = {{"x"}};
const std::vector<AttrSpec> kAxis = {{.name = "axis",
                                      .kind = AttrKind::I64,
                                      .doc = "the dimension that is normalized; negative counts from the end",
                                      .defaultValue = int64_t{-1},
                                      .min = -kMaxRank,
                                      .max = kMaxRank - 1}};

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0];
  GRADC_REFUSE(notFloat("x", x));
  GRADC_REFUSE(notAnAxis(fromEnd(args.attrs.i64("axis"), x.rank()), "x", x));
  return oneType(x.dtype, x.shape);
}

/// Repeats a value that lacks `axis` along it.
ValueId along(Builder &b, ValueId v, Shape shape, int64_t axis) {
  return b.broadcast(v, shape, otherAxes(shape.rank(), {axis}));
}

ValueId shifted(Builder &b, ValueId x, int64_t axis) {
  return b.sub(x, along(b, b.create("reduce_max", {x}, {{"axes", std::vector<int64_t>{axis}}}),
                        b.type(x).shape, axis));
}

int64_t axisOf(const Dict &attrs, Builder &b, ValueId x) {
  return fromEnd(attrs.i64("axis"), b.type(x).rank());
}

std::vector<ValueId> softmaxExpand(ExpandArgs &args) {
  Builder &b = args.b;
  int64_t axis = axisOf(args.attrs, b, args.operands[0]);
  ValueId e = b.create("exp", {shifted(b, args.operands[0], axis)});
  ValueId sum = b.reduceSum(e, {axis}); // 1 or more: its reciprocal is a number, too
  ValueId scale = b.div(b.splat(b.type(sum), 1), sum);
  return {b.mul(e, along(b, scale, b.type(e).shape, axis))};
}

// y · (dy - Σ y·dy)
void softmaxGrad(GradArgs &g) {
  Builder &b = g.b;
  int64_t axis = axisOf(g.attrs(), b, g.y());
  ValueId mean = b.reduceSum(b.mul(g.y(), g.dy()), {axis});
  g.to(0, b.mul(g.y(), b.sub(g.dy(), along(b, mean, g.type(g.y()).shape, axis))));
}

ValueId logSumExp(Builder &b, ValueId x, int64_t axis) {
  return b.create("log", {b.reduceSum(b.create("exp", {x}), {axis})});
}

std::vector<ValueId> logSoftmaxExpand(ExpandArgs &args) {
  Builder &b = args.b;
  int64_t axis = axisOf(args.attrs, b, args.operands[0]);
  ValueId x = shifted(b, args.operands[0], axis);
  return {b.sub(x, along(b, logSumExp(b, x, axis), b.type(x).shape, axis))};
}

// dy - e^y · Σ dy
void logSoftmaxGrad(GradArgs &g) {
  Builder &b = g.b;
  int64_t axis = axisOf(g.attrs(), b, g.y());
  ValueId sum = along(b, b.reduceSum(g.dy(), {axis}), g.type(g.y()).shape, axis);
  g.to(0, b.sub(g.dy(), b.mul(b.create("exp", {g.y()}), sum)));
}

Rule<Types> crossEntropyInfer(const InferArgs &args) {
  const Type &logits = args.operands[0], &labels = args.operands[1];
  GRADC_REFUSE(notFloat("logits", logits));
  GRADC_REFUSE(notOfRank("logits", logits, 2));
  bool classes = labels.dtype == DType::I32 && labels.shape == Shape{logits.shape[0]};
  bool weights = labels.dtype == logits.dtype && labels.shape == logits.shape;
  if (!classes && !weights)
    return refuse("logits is {} but labels is {}, which must be i32[{}] or {}", toString(logits),
                  toString(labels), logits.shape[0], toString(Type{logits.dtype, logits.shape, {}}));
  return oneType(logits.dtype, {logits.shape[0]});
}

bool areClasses(const Type &labels) { return labels.dtype == DType::I32; }

/// bool [N, C]: whether the column is the row's label.
ValueId isLabel(Builder &b, ValueId labels, const Shape &shape) {
  return b.create("eq", {b.create("iota", {}, {{"shape", shape}, {"axis", int64_t{1}}}),
                         b.broadcast(labels, shape, {0})});
}

std::vector<ValueId> crossEntropyExpand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId labels = args.operands[1], x = shifted(b, args.operands[0], 1), total = logSumExp(b, x, 1);
  const Type type = b.type(x);
  if (areClasses(b.type(labels)))
    return {b.sub(total, b.reduceSum(b.select(isLabel(b, labels, type.shape), x, b.zeros(type)), {1}))};
  return {b.sub(b.mul(b.reduceSum(labels, {1}), total), b.reduceSum(b.mul(labels, x), {1}))};
}

void crossEntropyGrad(GradArgs &g) {
  Builder &b = g.b;
  const Type type = g.type(g.x(0));
  ValueId labels = g.x(1), dy = b.broadcast(g.dy(), type.shape, {0});
  if (g.wants(0)) {
    ValueId p = b.create("softmax", {g.x(0)});
    ValueId target = labels;
    if (areClasses(g.type(labels)))
      target = b.cast(isLabel(b, labels, type.shape), type.dtype);
    else
      p = b.mul(p, b.broadcast(b.reduceSum(labels, {1}), type.shape, {0}));
    g.to(0, b.mul(b.sub(p, target), dy));
  }
  if (g.wants(1) && !areClasses(g.type(labels)))
    g.to(1, b.neg(b.mul(b.create("log_softmax", {g.x(0)}), dy)));
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(softmax) {
  static const OpDef rows[] = {
      {.name = "softmax",
       .doc = "e^x normalized to sum 1 along a dimension",
       .operands = kX,
       .attrs = kAxis,
       .infer = ops::infer,
       .grad = softmaxGrad,
       .expand = softmaxExpand},
      {.name = "log_softmax",
       .doc = "the logarithm of softmax",
       .operands = kX,
       .attrs = kAxis,
       .infer = ops::infer,
       .grad = logSoftmaxGrad,
       .expand = logSoftmaxExpand},
      {.name = "softmax_cross_entropy",
       .doc = "for each row of logits -Σ p · log_softmax, p being 1 at the row's label or a row of weights",
       .operands = {{"logits"}, {"labels"}},
       .infer = crossEntropyInfer,
       .grad = crossEntropyGrad,
       .expand = crossEntropyExpand},
  };
  return rows;
}
