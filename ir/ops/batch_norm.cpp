// Batch normalization over dimension 1, the channels: by the batch's own mean and variance in training, by the
// running ones in inference. Numbers and updates are PyTorch's: the batch's variance divides by the count, the
// running one by the count - 1.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

const AttrSpec kEpsilon = {
    .name = "epsilon", .kind = AttrKind::F64, .doc = "added to the variance", .defaultValue = 1e-5, .min = 0};

enum Operand { X, Weight, Bias, Mean, Variance };

int64_t perChannel(const Shape &x) { return x.elements() / x[1]; }

std::vector<int64_t> reducedAxes(int rank) { return otherAxes(rank, {1}); }

Rule<Types> inferInfer(const InferArgs &args) {
  constexpr std::string_view names[] = {"x", "weight", "bias", "mean", "variance"};
  const Type &x = args.operands[X];
  GRADC_REFUSE(notFloat("x", x));
  if (x.rank() < 2)
    return refuse("x must have rank 2 at least, with the channels in dimension 1, but is {}", toString(x));
  for (size_t i = Weight; i < args.operands.size(); ++i) {
    const Type &operand = args.operands[i];
    if (operand.dtype != x.dtype || !(operand.shape == Shape{x.shape[1]}))
      return refuse("x is {} but {} is {}, which must be {}[{}]", toString(x), names[i], toString(operand),
                    dtypeName(x.dtype), x.shape[1]);
  }
  return oneType(x.dtype, x.shape);
}

Rule<Types> trainInfer(const InferArgs &args) {
  Rule<Types> types = inferInfer(args);
  if (!types)
    return types;
  const Type &x = args.operands[X];
  if (perChannel(x.shape) < 2)
    return refuse("x is {}, but the variance of a channel needs two values at least", toString(x));
  types->push_back({x.dtype, {x.shape[1]}, {}});
  types->push_back({x.dtype, {x.shape[1]}, {}});
  return types;
}

/// What forward and backward pass need of a batch. Both build it, and cse makes it one.
struct Statistics {
  Builder &b;
  Shape shape;
  ValueId mean, centred, variance, rstd;

  Statistics(Builder &b, ValueId x, double epsilon) : b(b), shape(b.type(x).shape) {
    mean = average(x);
    centred = b.sub(x, spread(mean));
    variance = average(b.create("square", {centred}));
    rstd = b.create("rsqrt", {b.add(variance, b.splat(b.type(variance), epsilon))});
  }
  double count() const { return static_cast<double>(perChannel(shape)); }
  ValueId sum(ValueId v) const { return b.reduceSum(v, reducedAxes(shape.rank())); }
  ValueId average(ValueId v) const { return b.scale(sum(v), 1 / count()); }
  ValueId spread(ValueId v) const { return b.broadcast(v, shape, {1}); }
};

/// old + momentum · (new - old)
ValueId moved(Builder &b, ValueId old, ValueId now, double momentum) {
  return b.add(b.scale(old, 1 - momentum), b.scale(now, momentum));
}

std::vector<ValueId> trainExpand(ExpandArgs &args) {
  Builder &b = args.b;
  const double momentum = args.attrs.f64("momentum");
  Statistics s(b, args.operands[X], args.attrs.f64("epsilon"));
  ValueId scaled = b.mul(s.centred, s.spread(b.mul(s.rstd, args.operands[Weight])));
  ValueId y = b.add(scaled, s.spread(args.operands[Bias]));
  ValueId unbiased = b.scale(s.variance, s.count() / (s.count() - 1));
  return {y, moved(b, args.operands[Mean], s.mean, momentum),
          moved(b, args.operands[Variance], unbiased, momentum)};
}

/// The part of dx that comes from y: weight·rstd · (dy - Σdy/M - x̂ · Σdy·x̂/M), which needs the two sums only.
ValueId fromResult(GradArgs &g, const Statistics &s) {
  Builder &b = g.b;
  ValueId sum = s.sum(g.dy()), product = b.mul(s.sum(b.mul(g.dy(), s.centred)), s.rstd);
  g.to(Bias, sum);
  g.to(Weight, product);
  ValueId offset = s.spread(b.scale(sum, 1 / s.count()));
  ValueId slope = s.spread(b.mul(b.scale(product, 1 / s.count()), s.rstd));
  ValueId direction = b.sub(b.sub(g.dy(), offset), b.mul(s.centred, slope));
  return b.mul(direction, s.spread(b.mul(s.rstd, g.x(Weight))));
}

void trainGrad(GradArgs &g) {
  Builder &b = g.b;
  const double momentum = g.attrs().f64("momentum");
  Statistics s(b, g.x(X), g.attrs().f64("epsilon"));
  if (g.dy(0) != kNoValue)
    g.to(X, fromResult(g, s));
  if (g.dy(1) != kNoValue) {
    g.to(X, s.spread(b.scale(g.dy(1), momentum / s.count())));
    g.to(Mean, b.scale(g.dy(1), 1 - momentum));
  }
  if (g.dy(2) != kNoValue) {
    g.to(X, b.mul(s.centred, s.spread(b.scale(g.dy(2), 2 * momentum / (s.count() - 1)))));
    g.to(Variance, b.scale(g.dy(2), 1 - momentum));
  }
}

std::vector<ValueId> inferExpand(ExpandArgs &args) {
  Builder &b = args.b;
  const Type x = b.type(args.operands[X]), channel = b.type(args.operands[Variance]);
  auto spread = [&](ValueId v) { return b.broadcast(v, x.shape, {1}); };
  ValueId rstd =
      b.create("rsqrt", {b.add(args.operands[Variance], b.splat(channel, args.attrs.f64("epsilon")))});
  ValueId centred = b.sub(args.operands[X], spread(args.operands[Mean]));
  ValueId scaled = b.mul(centred, spread(b.mul(rstd, args.operands[Weight])));
  return {b.add(scaled, spread(args.operands[Bias]))};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(batch_norm) {
  static const OpDef rows[] = {
      {.name = "batch_norm_train",
       .doc = "y: each channel of x (dimension 1) brought to mean 0 and variance 1, times weight, plus bias; "
              "and "
              "the running mean and variance, moved by momentum towards the batch's",
       .operands = {{"x"}, {"weight"}, {"bias"}, {"mean"}, {"variance"}},
       .attrs = {kEpsilon,
                 {.name = "momentum",
                  .kind = AttrKind::F64,
                  .doc = "the batch's share of the running statistics",
                  .defaultValue = 0.1,
                  .min = 0,
                  .max = 1}},
       .numResults = 3,
       .infer = ops::trainInfer,
       .grad = ops::trainGrad,
       .expand = ops::trainExpand},
      {.name = "batch_norm_infer",
       .doc =
           "each channel of x (dimension 1) minus mean, over the root of variance, times weight, plus bias",
       .operands = {{"x"}, {"weight"}, {"bias"}, {"mean"}, {"variance"}},
       .attrs = {kEpsilon},
       .infer = ops::inferInfer,
       .expand = ops::inferExpand},
  };
  return rows;
}
