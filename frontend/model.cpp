#include "frontend/model.h"

#include <algorithm>

#include "frontend/model_source.h"
#include "frontend/tables.h"
#include "ir/op.h"

namespace gradc {
namespace {

void warnUnused(const ModelSource &source, Diagnostics &diag) {
  const Graph &graph = source.graph;
  std::vector<bool> used(graph.nodes.size());
  auto use = [&](const std::vector<Reference> &references) {
    for (const Reference &reference : references)
      if (reference.kind == Reference::Kind::Node)
        used[reference.index] = true;
  };
  use(graph.outputs);
  for (const std::vector<GraphTerm> *terms : {&graph.losses, &graph.metrics})
    for (const GraphTerm &term : *terms)
      use(term.inputs);
  for (const GraphNode &node : graph.nodes) {
    use(node.inputs);
    for (const GraphNode::Tie &tie : node.ties)
      if (tie.owner)
        used[*tie.owner] = true;
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    if (!used[i])
      diag.warning(source.document.loc(*graph.nodes[i].use.json), "nothing uses node '{}'",
                   graph.nodes[i].use.name);
}

/// Sections that need one another.
void checkSections(const JsonDocument &document, Diagnostics &diag) {
  const Json &root = document.root;
  bool hasLoss = root.find("loss") != nullptr;
  if (!hasLoss && !root.find("outputs"))
    (void)diag.error(document.loc(root), "a model needs 'outputs' or a 'loss'");
  for (const char *key : {"train", "metrics"})
    if (!hasLoss && root.find(key))
      (void)diag.error(document.loc(*root.find(key)), "'{}' needs a 'loss'", key);
}

} // namespace

Result<LoadedModel> loadModel(std::string text, std::string file, const ModelOverrides &overrides,
                              Diagnostics &diag) {
  Result<JsonDocument> document = parseJson(std::move(text), std::move(file), diag);
  if (!document)
    return std::unexpected(document.error());
  if (Result<void> changed = applyOverrides(*document, overrides.set, diag); !changed)
    return std::unexpected(changed.error());
  auto source = std::make_shared<ModelSource>(std::move(*document));
  const JsonDocument &doc = source->document;
  if (!doc.root.isObject())
    return std::unexpected(
        diag.error(doc.loc(doc.root), "a model is an object, but got {}", describe(doc.root)));
  KeyChecker checker(doc, diag);
  if (!checker.object(doc.root, modelSpec()))
    return std::unexpected(*checker.failure());
  checkSections(doc, diag);
  Result<Graph> graph = readGraph(doc, diag);
  if (!graph)
    return std::unexpected(graph.error());
  source->graph = std::move(*graph);
  source->rules = readParameterRules(doc, overrides.trained);
  source->normalization = readNormalization(doc, source->graph, diag);

  LoadedModel model;
  model.name = source->graph.name;
  model.hasLoss = !source->graph.losses.empty();
  model.train = readTrainConfig(doc, source->graph, diag);
  model.train.batchSize = overrides.batchSize.value_or(model.train.batchSize);
  model.train.seed = overrides.seed.value_or(model.train.seed);
  // --batch may be too small to train, which matters to those only who instantiate for training.
  const Purpose purpose = overrides.batchSize ? Purpose::Inference : Purpose::Training;
  Result<Module> module = buildModule(*source, model.train.batchSize, purpose, diag, &model.nodes);
  if (!module)
    return std::unexpected(module.error());
  checkTrained(overrides.trained, *module, diag);
  model.data = readDataConfig(doc, source->graph, *module, diag);
  if (diag.hasErrors())
    return std::unexpected(diag.failed());
  warnUnused(*source, diag);
  for (const Variable &variable : module->variables)
    model.variables.push_back(variableSpec(variable));
  model.source = std::move(source);
  return model;
}

Result<Module> LoadedModel::instantiate(int64_t batch, Diagnostics &diag, Purpose purpose) const {
  return buildModule(*source, batch, purpose, diag, nullptr);
}

} // namespace gradc
