// Losses and metrics: one number per example, f32[N]. Their mean over the batch is what is logged and minimised.
#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

std::vector<int64_t> axesFrom(int first, int rank) {
  std::vector<int64_t> axes;
  for (int axis = first; axis < rank; ++axis)
    axes.push_back(axis);
  return axes;
}

/// The mean over all dimensions but the first.
std::optional<ValueId> meanPerExample(LayerContext &c, ValueId x) {
  int rank = c.b.type(x).rank();
  if (rank <= 1)
    return x;
  return c.op("reduce_mean", {x}, {{"axes", axesFrom(1, rank)}});
}

bool sameShapes(LayerContext &c) {
  if (c.type(0) == c.type(1))
    return true;
  c.fail("inputs", "both inputs must be alike, but {} and {}", c.inputText(0), c.inputText(1));
  return false;
}

/// logits f32[N, C]; the labels are integers [N], or of the logits' own shape where `dense` allows it.
bool areLogitsAndLabels(LayerContext &c, bool dense) {
  const Type logits = c.type(0), labels = c.type(1);
  if (logits.rank() != 2 || !isFloat(logits.dtype)) {
    c.fail("inputs", "{} expects logits f32[N, classes], but {}", c.use().layer->spec.name, c.inputText(0));
    return false;
  }
  if ((dense && labels == logits) ||
      (isInteger(labels.dtype) && labels.rank() == 1 && labels.shape[0] == logits.shape[0]))
    return true;
  c.fail("inputs", "{} expects labels i32[{}]{}, but {} and {}", c.use().layer->spec.name, logits.shape[0],
         dense ? fmt::format(" or {}", toString(logits)) : "", c.inputText(0), c.inputText(1));
  return false;
}

ValueId asI32(LayerContext &c, ValueId labels) {
  return c.b.type(labels).dtype == DType::I32 ? labels : c.b.cast(labels, DType::I32);
}

/// The cross entropy with a distribution over the classes: -Σ target · log softmax(logits).
ValueId crossEntropy(LayerContext &c, ValueId logProbabilities, ValueId target) {
  return c.b.neg(c.b.reduceSum(c.b.mul(target, logProbabilities), {1}));
}

std::optional<ValueId> buildSoftmaxCrossEntropy(LayerContext &c) {
  if (!areLogitsAndLabels(c, true))
    return std::nullopt;
  bool dense = isFloat(c.type(1).dtype);
  double smoothing = c.number("label_smoothing", 0);
  std::optional<ValueId> loss;
  if (!dense)
    loss = c.op("softmax_cross_entropy", {c.x[0], asI32(c, c.x[1])});
  if (!dense && (!loss || smoothing == 0))
    return loss;
  std::optional<ValueId> logProbabilities = c.op("log_softmax", {c.x[0]});
  if (!logProbabilities)
    return std::nullopt;
  if (dense)
    loss = crossEntropy(c, *logProbabilities, c.x[1]);
  if (smoothing == 0)
    return loss;
  // (1 - s) · loss + s · the cross entropy with the uniform distribution, as PyTorch has it
  ValueId uniform = c.b.splat(c.type(0), 1.0 / static_cast<double>(c.type(0).shape[1]));
  return c.b.add(c.b.scale(*loss, 1 - smoothing),
                 c.b.scale(crossEntropy(c, *logProbabilities, uniform), smoothing));
}

std::optional<ValueId> buildMeanSquaredError(LayerContext &c) {
  if (!sameShapes(c))
    return std::nullopt;
  std::optional<ValueId> difference = c.op("sub", c.x);
  std::optional<ValueId> square = difference ? c.op("square", {*difference}) : std::nullopt;
  return square ? meanPerExample(c, *square) : std::nullopt;
}

// -y·log σ(x) - (1 - y)·log(1 - σ(x)) = softplus(x) - x·y
std::optional<ValueId> buildBinaryCrossEntropy(LayerContext &c) {
  if (!sameShapes(c))
    return std::nullopt;
  std::optional<ValueId> softplus = c.op("softplus", {c.x[0]});
  return softplus ? meanPerExample(c, c.b.sub(*softplus, c.b.mul(c.x[0], c.x[1]))) : std::nullopt;
}

std::optional<ValueId> buildAccuracy(LayerContext &c) {
  if (!areLogitsAndLabels(c, false))
    return std::nullopt;
  return c.op("accuracy", {c.x[0], asI32(c, c.x[1])});
}

LayerDef loss(ObjectSpec spec, std::optional<ValueId> (*build)(LayerContext &)) {
  return {.spec = std::move(spec),
          .minInputs = 2,
          .maxInputs = 2,
          .isLoss = true,
          .isMetric = true,
          .build = build};
}

} // namespace

std::vector<LayerDef> lossLayers() {
  return {
      loss({"softmax_cross_entropy",
            "Cross entropy of softmax(logits) with labels (integers, or a distribution per example)",
            {{.name = "label_smoothing",
              .forms = {Form::Number},
              .doc = "share of the uniform distribution in the target",
              .fallback = "0",
              .min = 0,
              .max = 1}}},
           buildSoftmaxCrossEntropy),
      loss({"mean_squared_error", "Mean of the squared differences", {}}, buildMeanSquaredError),
      loss({"binary_cross_entropy_with_logits", "Cross entropy of sigmoid(x) with targets in [0, 1]", {}},
           buildBinaryCrossEntropy),
      {.spec = {"accuracy", "1 where the largest logit is the label's, else 0", {}},
       .minInputs = 2,
       .maxInputs = 2,
       .isMetric = true,
       .build = buildAccuracy},
  };
}

} // namespace gradc
