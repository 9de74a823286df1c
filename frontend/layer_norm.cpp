// batch_norm, layer_norm: parameters, running statistics and defaults are those of PyTorch's BatchNorm and LayerNorm.
#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

/// weight and bias; nothing after an error.
std::optional<std::array<ValueId, 2>> affine(LayerContext &c, const Shape &shape) {
  std::optional<ValueId> weight = c.parameter("weight", shape, {}, "ones"),
                         bias = c.parameter("bias", shape, {}, "zeros");
  return weight && bias ? std::optional(std::array{*weight, *bias}) : std::nullopt;
}

std::optional<ValueId> buildBatchNorm(LayerContext &c) {
  const Type x = c.type(0);
  if (x.rank() < 2)
    return c.fail("inputs", "batch_norm expects an input of rank 2 at least, [N, channels, …], but {}",
                  c.inputText(0));
  if (c.training() && x.elements() == x.shape[1])
    return c.fail("inputs", "batch_norm needs two values of a channel at least, but {}", c.inputText(0));
  const Shape channels{x.shape[1]};
  std::optional<std::array<ValueId, 2>> parameters = affine(c, channels);
  std::optional<ValueId> mean = c.buffer("running_mean", channels, "zeros"),
                         variance = c.buffer("running_var", channels, "ones");
  if (!parameters || !mean || !variance)
    return std::nullopt;
  const std::vector<ValueId> operands{c.x[0], (*parameters)[0], (*parameters)[1], *mean, *variance};
  const double epsilon = c.number("epsilon", 1e-5);
  if (!c.training())
    return c.op("batch_norm_infer", operands, {{"epsilon", epsilon}});
  std::optional<ValueId> y =
      c.op("batch_norm_train", operands, {{"epsilon", epsilon}, {"momentum", c.number("momentum", 0.1)}});
  if (!y)
    return std::nullopt;
  const Function &fn = c.b.function();
  const std::vector<ValueId> results = fn[fn[*y].def].results;
  c.updateBuffer("running_mean", results[1]);
  c.updateBuffer("running_var", results[2]);
  return y;
}

std::optional<ValueId> buildLayerNorm(LayerContext &c) {
  const Shape x = c.type(0).shape;
  const int64_t dims = c.integer("dimensions", 1);
  if (dims >= x.rank())
    return c.fail("dimensions", "'dimensions' is {} but must leave the batch out, and {}", dims,
                  c.inputText(0));
  std::optional<std::array<ValueId, 2>> parameters =
      affine(c, Shape(std::span(x.end() - dims, static_cast<size_t>(dims))));
  if (!parameters)
    return std::nullopt;
  return c.op("layer_norm", {c.x[0], (*parameters)[0], (*parameters)[1]},
              {{"epsilon", c.number("epsilon", 1e-5)}});
}

KeySpec parameterKey(std::string_view name, std::string_view doc) {
  return {.name = name, .forms = {Form::Object, Form::Name}, .doc = doc, .object = parameterSpec};
}

const KeySpec kEpsilon{
    .name = "epsilon", .forms = {Form::Number}, .doc = "added to the variance", .fallback = "1e-5", .min = 0};

} // namespace

std::vector<LayerDef> normLayers() {
  return {
      {.spec = {"batch_norm",
                "Channels (dimension 1) brought to mean 0 and variance 1, by the batch in training and by "
                "running "
                "statistics otherwise; then times weight, plus bias",
                {kEpsilon,
                 {.name = "momentum",
                  .forms = {Form::Number},
                  .doc = "the batch's share of the running statistics",
                  .fallback = "0.1",
                  .min = 0,
                  .max = 1},
                 parameterKey("weight", "[channels], ones"),
                 parameterKey("bias", "[channels], zeros")}},
       .build = buildBatchNorm},
      {.spec = {"layer_norm",
                "The last dimensions of each example brought to mean 0 and variance 1; then times weight, "
                "plus bias",
                {{.name = "dimensions",
                  .forms = {Form::Integer},
                  .doc = "how many of the last dimensions",
                  .fallback = "1",
                  .min = 1,
                  .max = kMaxRank},
                 kEpsilon,
                 parameterKey("weight", "of the normalized dimensions' shape, ones"),
                 parameterKey("bias", "of the same shape, zeros")}},
       .build = buildLayerNorm},
  };
}

} // namespace gradc
