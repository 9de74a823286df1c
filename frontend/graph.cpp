#include "frontend/graph.h"

#include <algorithm>
#include <charconv>

#include "frontend/graph_reader.h"
#include "frontend/values.h"

namespace gradc {

Result<Graph> readGraph(const JsonDocument &document, Diagnostics &diag) {
  return GraphReader(document, diag).read();
}

Result<Graph> GraphReader::read() {
  const Json &root = document_.root;
  graph_.name = root.find("name")->text;
  if (!isName(graph_.name) || graph_.name.find_first_of(".-") != std::string::npos)
    fail(*root.find("name"), "the model's name expects letters, digits and '_', no digit first, but got {}",
         describe(*root.find("name")));
  readInputs();
  readParams();
  expandNodes(0, *root.find("nodes"));
  resolveNodes();
  readOutputs();
  readTerms("loss", graph_.losses);
  readTerms("metrics", graph_.metrics);
  if (reported_)
    return std::unexpected(*reported_);
  sortNodes();
  if (reported_)
    return std::unexpected(*reported_);
  return std::move(graph_);
}

bool GraphReader::claimName(const std::string &name, Entity entity, JsonPlace place) {
  auto [at, fresh] = entities_.try_emplace(name, entity);
  if (fresh) {
    graph_.names.emplace(name, place);
    return true;
  }
  reported_ = diag_.error(document_.loc(place), "the name '{}' is taken", name);
  diag_.note(document_.loc(graph_.names.find(name)->second), "it was given here");
  return false;
}

void GraphReader::readInputs() {
  const Json &inputs = *document_.root.find("inputs");
  for (size_t i = 0; i < inputs.items.size(); ++i) {
    const Json &input = inputs.items[i];
    if (isFreeKey(inputs.keys[i].name))
      continue;
    const Json *dtype = input.find("dtype"), &shape = *input.find("shape");
    claimName(inputs.keys[i].name, {Entity::Kind::Input, graph_.inputs.size()}, inputs.keys[i].place);
    graph_.inputs.push_back(
        {inputs.keys[i].name, &input, *parseDType(dtype ? dtype->text : "f32"), hasBatch(shape)});
    if (std::optional<std::string> wrong = checkShape(sizes(shape, 1)))
      fail(shape, "input '{}': {}", inputs.keys[i].name, *wrong);
  }
}

void GraphReader::readParams() {
  const Json *params = document_.root.find("params");
  for (size_t i = 0; params && i < params->items.size(); ++i) {
    const Json &param = params->items[i];
    if (isFreeKey(params->keys[i].name))
      continue;
    const Json &shape = *param.find("shape");
    claimName(params->keys[i].name, {Entity::Kind::Param, graph_.params.size()}, params->keys[i].place);
    graph_.params.push_back({params->keys[i].name, &param});
    if (hasBatch(shape))
      fail(shape, "params '{}': the shape of a parameter cannot depend on \"N\"", params->keys[i].name);
    else if (std::optional<std::string> wrong = checkShape(sizes(shape, 1)))
      fail(shape, "params '{}': {}", params->keys[i].name, *wrong);
  }
}

const GraphReader::Entity *GraphReader::lookUp(size_t scope, std::string_view name) const {
  auto at = entities_.find(scopes_[scope].prefix + std::string(name));
  if (at == entities_.end() && scope != 0)
    at = entities_.find(name);
  return at == entities_.end() ? nullptr : &at->second;
}

std::string GraphReader::proposeName(size_t scope, std::string_view name) const {
  std::vector<std::string_view> names;
  for (const auto &[input, bound] : scopes_[scope].inputs)
    names.push_back(input);
  const std::string &prefix = scopes_[scope].prefix;
  for (const auto &[known, entity] : entities_)
    if (known.starts_with(prefix))
      names.push_back(std::string_view(known).substr(prefix.size()));
  return proposal(name, names);
}

std::optional<Reference> GraphReader::resolve(size_t scope, const Json &operand, int depth) {
  if (operand.isNumber())
    return Reference{.number = operand.number, .json = &operand};
  constexpr int kMaxAliases = 1000; // inputs of blocks that stand for inputs of blocks
  if (depth > kMaxAliases) {
    fail(operand, "'{}' stands for itself", operand.text);
    return std::nullopt;
  }
  std::string_view name = operand.text;
  int result = 0;
  if (size_t colon = name.rfind(':'); colon != name.npos) {
    const char *end = name.data() + name.size();
    auto [stop, error] = std::from_chars(name.data() + colon + 1, end, result);
    if (error != std::errc() || stop != end || result < 0)
      result = -1;
    name = name.substr(0, colon);
  }
  if (auto bound = scopes_[scope].inputs.find(name); bound != scopes_[scope].inputs.end() && result == 0)
    return resolve(bound->second.scope, *bound->second.operand, depth + 1);
  const Entity *entity = result >= 0 ? lookUp(scope, name) : nullptr;
  if (entity)
    return resolveEntity(*entity, result, operand, depth);
  fail(operand, "unknown name '{}'{}", operand.text, proposeName(scope, name));
  return std::nullopt;
}

std::optional<Reference> GraphReader::resolveEntity(const Entity &entity, int result, const Json &operand,
                                                    int depth) {
  if (entity.kind == Entity::Kind::Failed)
    return std::nullopt; // reported where it failed
  if (entity.kind == Entity::Kind::Block && result < static_cast<int>(entity.outputs->items.size()))
    return resolve(entity.index, entity.outputs->items[result], depth + 1);
  const LayerUse *use = entity.kind == Entity::Kind::Node ? &graph_.nodes[entity.index].use : nullptr;
  int results = use && use->op ? use->op->numResults : 1;
  if (entity.kind == Entity::Kind::Block || result >= results) {
    fail(operand, "'{}' has {} result{}, numbered from 0, but got '{}'",
         operand.text.substr(0, operand.text.rfind(':')),
         entity.outputs ? entity.outputs->items.size() : results, results == 1 ? "" : "s", operand.text);
    return std::nullopt;
  }
  using Kind = Reference::Kind;
  Kind kind = use ? Kind::Node : entity.kind == Entity::Kind::Input ? Kind::Input : Kind::Param;
  return Reference{.kind = kind, .index = entity.index, .result = result, .json = &operand};
}

std::vector<Reference> GraphReader::resolveOperands(size_t scope, const Json *list) {
  std::vector<Reference> references;
  for (size_t i = 0; list && i < list->items.size(); ++i)
    if (std::optional<Reference> reference = resolve(scope, list->items[i]))
      references.push_back(*reference);
  return references;
}

void GraphReader::checkArity(const LayerUse &use, size_t given) {
  size_t least = 0, most = 0;
  if (use.layer) {
    least = use.layer->minInputs;
    most = use.layer->maxInputs;
  } else {
    for (const OperandSpec &operand : use.op->operands) {
      least += !operand.optional && !operand.variadic;
      most = operand.variadic ? kMaxNodes : most + 1;
    }
  }
  if (given >= least && given <= most)
    return;
  std::string wanted = least == most       ? fmt::format("{}", least)
                       : most == kMaxNodes ? fmt::format("at least {}", least)
                                           : fmt::format("{} or {}", least, most);
  fail(use.operands ? *use.operands : *use.json, "{} '{}': {} takes {} input{}, but got {}", use.what,
       use.name, use.layer ? use.layer->spec.name : use.op->name, wanted, most == 1 ? "" : "s", given);
}

void GraphReader::resolveNodes() {
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    GraphNode &node = graph_.nodes[i];
    if (!node.use.layer && !node.use.op)
      continue; // its errors are reported
    node.inputs = resolveOperands(nodeScopes_[i], node.use.operands);
    checkArity(node.use, node.use.operands ? node.use.operands->items.size() : 0);
    resolveTies(node, nodeScopes_[i]);
  }
}

/// "weight": "encoder.weight" or the name of a "params" entry.
void GraphReader::resolveTies(GraphNode &node, size_t scope) {
  for (const char *key : {"weight", "bias"}) {
    const Json *tie = node.use.layer ? node.use.json->find(key) : nullptr;
    if (!tie || !tie->isString())
      continue;
    auto bound = scopes_[scope].inputs.find(tie->text);
    if (bound != scopes_[scope].inputs.end()) {
      scope = bound->second.scope;
      tie = bound->second.operand;
    }
    const Entity *entity = lookUp(scope, tie->text);
    if (entity && entity->kind == Entity::Kind::Param) {
      node.ties.push_back({key, graph_.params[entity->index].name, {}});
      continue;
    }
    size_t dot = tie->text.rfind('.');
    const Entity *owner = dot == std::string::npos ? nullptr : lookUp(scope, tie->text.substr(0, dot));
    std::string part = dot == std::string::npos ? "" : tie->text.substr(dot + 1);
    if (owner && owner->kind == Entity::Kind::Node && (part == "weight" || part == "bias"))
      node.ties.push_back({key, graph_.nodes[owner->index].use.name + "." + part, owner->index});
    else
      fail(*tie, "node '{}': '{}' is neither an entry of \"params\" nor a node's weight or bias{}",
           node.use.name, tie->text, proposeName(scope, tie->text));
  }
}

void GraphReader::readOutputs() {
  const Json *outputs = document_.root.find("outputs");
  for (size_t i = 0; outputs && i < outputs->items.size(); ++i)
    if (std::optional<Reference> reference = resolve(0, outputs->items[i])) {
      graph_.outputs.push_back(*reference);
      graph_.outputNames.push_back(outputs->items[i].text);
    }
}

void GraphReader::readTerms(const char *key, std::vector<GraphTerm> &terms) {
  const Json *value = document_.root.find(key);
  if (value && value->isObject())
    return readTerm(*value, terms, true);
  for (size_t i = 0; value && i < value->items.size(); ++i)
    readTerm(value->items[i], terms, false);
}

void GraphReader::readTerm(const Json &term, std::vector<GraphTerm> &terms, bool single) {
  const Json *name = term.find("name"), *weight = term.find("weight");
  GraphTerm &made = terms.emplace_back();
  bool isLoss = &terms == &graph_.losses;
  made.use = {.name = name               ? name->text
                      : single && isLoss ? "loss"
                                         : term.find("op")->text,
              .what = isLoss ? "loss" : "metric",
              .json = &term};
  made.use.layer = findLayer(term.find("op")->text);
  made.use.operands = term.find("inputs");
  made.weight = weight ? weight->number : 1;
  made.inputs = resolveOperands(0, made.use.operands);
  checkArity(made.use, made.use.operands->items.size());
  for (size_t i = 0; i + 1 < terms.size(); ++i)
    if (terms[i].use.name == made.use.name)
      fail(term, "two of them are called '{}'; give one another 'name'", made.use.name);
}

void GraphReader::reportCycle(const std::vector<size_t> &path) {
  std::string text;
  for (size_t node : path)
    text += graph_.nodes[node].use.name + " → ";
  fail(*graph_.nodes[path[0]].use.json, "node '{}' depends on itself: {}{}", graph_.nodes[path[0]].use.name,
       text, graph_.nodes[path[0]].use.name);
}

/// Depth first, in the file's order; no recursion, a chain may be long.
void GraphReader::sortNodes() {
  enum : uint8_t { New, Open, Done };
  std::vector<uint8_t> state(graph_.nodes.size(), New);
  std::vector<size_t> path, next;
  auto before = [&](size_t node) {
    std::vector<size_t> list;
    for (const Reference &reference : graph_.nodes[node].inputs)
      if (reference.kind == Reference::Kind::Node)
        list.push_back(reference.index);
    for (const GraphNode::Tie &tie : graph_.nodes[node].ties)
      if (tie.owner)
        list.push_back(*tie.owner);
    return list;
  };
  for (size_t root = 0; root < graph_.nodes.size(); ++root) {
    if (state[root] != New)
      continue;
    path = {root};
    next = {0};
    state[root] = Open;
    while (!path.empty()) {
      std::vector<size_t> inputs = before(path.back());
      if (next.back() == inputs.size()) {
        state[path.back()] = Done;
        graph_.order.push_back(path.back());
        path.pop_back();
        next.pop_back();
        continue;
      }
      size_t input = inputs[next.back()++];
      if (state[input] == Open)
        return reportCycle({std::ranges::find(path, input), path.end()});
      if (state[input] == New) {
        state[input] = Open;
        path.push_back(input);
        next.push_back(0);
      }
    }
  }
}

} // namespace gradc
