// The functions of a model: @infer, @eval, @loss.
#include <algorithm>

#include "frontend/model_source.h"
#include "ir/op.h"

namespace gradc {
namespace {

std::vector<const Reference *> roots(const Graph &graph) {
  std::vector<const Reference *> all;
  for (const std::vector<GraphTerm> *terms : {&graph.losses, &graph.metrics})
    for (const GraphTerm &term : *terms)
      for (const Reference &input : term.inputs)
        all.push_back(&input);
  return all;
}

/// The sum or mean of f32[N] as a result of the function.
ValueId reduce(Builder &b, const std::string &name, ValueId perExample, bool mean) {
  b.named(name);
  return b.create(mean ? "reduce_mean" : "reduce_sum", {perExample}, {{"axes", std::vector<int64_t>{0}}});
}

void yield(Function &fn, ValueId value, Dict attrs) {
  fn.body().yields.push_back(value);
  fn.resultAttrs.push_back(std::move(attrs));
}

/// Σ weight · reduced loss, then each loss by its name where there are several, then the metrics.
void yieldTerms(BuildContext &context, FunctionBuilder &f, bool mean) {
  Builder &b = f.builder();
  const Graph &graph = context.graph;
  std::vector<ValueId> losses;
  ValueId total = kNoValue;
  for (const GraphTerm &term : graph.losses) {
    std::optional<ValueId> value = f.term(term);
    if (!value)
      continue;
    ValueId part = losses.emplace_back(reduce(b, term.use.name, *value, mean));
    if (term.weight != 1)
      part = b.scale(part, term.weight);
    total = total == kNoValue ? part : b.add(total, part);
  }
  if (losses.size() == graph.losses.size())
    yield(b.function(), total, {{"loss", {}}});
  bool isList = losses.size() > 1 || context.document.root.find("loss")->isArray();
  for (size_t i = 0; isList && i < losses.size(); ++i)
    yield(b.function(), losses[i], {{"metric", "loss." + graph.losses[i].use.name}});
  for (const GraphTerm &term : graph.metrics)
    if (std::optional<ValueId> value = f.term(term))
      yield(b.function(), reduce(b, term.use.name, *value, mean), {{"metric", term.use.name}});
}

void buildInfer(BuildContext &context) {
  Function &fn = context.module.addFunction("infer");
  FunctionBuilder f(context, fn, /*training=*/false);
  std::vector<const Reference *> outputs;
  for (const Reference &output : context.graph.outputs)
    outputs.push_back(&output);
  f.build(outputs);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (std::optional<ValueId> value = f.value(*outputs[i]))
      yield(fn, *value, {{"output", context.graph.outputNames[i]}});
  f.orderArgs();
}

void buildEval(BuildContext &context) {
  Function &fn = context.module.addFunction("eval");
  FunctionBuilder f(context, fn, /*training=*/false);
  f.build(roots(context.graph));
  yieldTerms(context, f, /*mean=*/false);
  f.builder().named("count").at({});
  yield(fn, f.builder().constant(Tensor::scalar(DType::F32, static_cast<double>(context.batch))),
        {{"count", {}}});
  f.orderArgs();
}

void buildLoss(BuildContext &context) {
  Function &fn = context.module.addFunction("loss");
  FunctionBuilder f(context, fn, /*training=*/true);
  f.build(roots(context.graph));
  yieldTerms(context, f, /*mean=*/true);
  for (const auto &[buffer, value] : f.updates())
    yield(fn, value, {{"var", SymbolRef{buffer}}});
  f.addRandomArgs();
  f.orderArgs();
}

/// Two for each multiplication with its addition, one for each other element that is computed; dropout is not
/// there in inference.
double flopsOf(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  if (op.results.empty() || op.def->name == "dropout" || op.def->name == "flatten")
    return 0;
  auto size = [&](ValueId v) { return static_cast<double>(fn.type(v).elements()); };
  double out = size(op.results[0]);
  if (op.def->name == "dense" || op.def->name == "conv2d") {
    const Type weight = fn.type(op.operands[1]);
    return out * (2.0 * static_cast<double>(weight.elements() / weight.shape[0]) + (op.operands.size() == 3));
  }
  if (op.def->name == "matmul") {
    const Type lhs = fn.type(op.operands[0]);
    return 2 * out *
           static_cast<double>(
               lhs.shape[lhs.rank() - (withDefaults(*op.def, op.attrs).flag("transpose_a") ? 2 : 1)]);
  }
  if (op.def->is(kMovement) || op.operands.empty())
    return 0;
  return std::max(out, size(op.operands[0]));
}

void summarize(const Graph &graph, const Function &fn, const Module &module, FunctionBuilder &f,
               std::vector<NodeSummary> &nodes) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const GraphNode &node = graph.nodes[i];
    NodeSummary summary{.name = node.use.name,
                        .op = std::string(node.use.layer ? node.use.layer->spec.name : node.use.op->name)};
    if (std::optional<ValueId> value = f.value({.kind = Reference::Kind::Node, .index = i}))
      summary.type = fn.type(*value);
    for (const char *part : {"weight", "bias"})
      if (const Variable *variable = module.variable(node.use.name + "." + part))
        summary.parameters += variable->type.elements();
    for (auto [op, end] = f.opsOf(i); op < end; ++op)
      summary.flops += flopsOf(fn, OpId(op));
    nodes.push_back(std::move(summary));
  }
}

} // namespace

Result<Module> buildModule(const ModelSource &source, int64_t batch, Purpose purpose, Diagnostics &diag,
                           std::vector<NodeSummary> *nodes) {
  Module module;
  const Graph &graph = source.graph;
  module.name = graph.name;
  module.attrs.set("batch", batch);
  if (Dict optimizer = optimizerAttrs(source.document); !optimizer.empty())
    module.attrs.set("optimizer", optimizer);
  BuildContext context{source.document, graph, source.rules, source.normalization, module, batch, diag};
  declareParams(context);

  // Everything once: finds every error, and declares parameters in the order of the nodes.
  const bool training = purpose == Purpose::Training;
  Function scratch("all");
  FunctionBuilder all(context, scratch, training);
  all.buildAll();
  if (nodes && !context.reported)
    summarize(graph, scratch, module, all, *nodes);
  if (!graph.losses.empty())
    yieldTerms(context, all, /*mean=*/true);
  if (context.reported)
    return std::unexpected(*context.reported);

  if (!graph.outputs.empty())
    buildInfer(context);
  if (!graph.losses.empty()) {
    buildEval(context);
    if (training)
      buildLoss(context);
  }
  if (context.reported)
    return std::unexpected(*context.reported);
  return module;
}

} // namespace gradc
