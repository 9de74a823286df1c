// Nodes of the model and of the blocks it uses, as one list.
#include <algorithm>

#include "frontend/graph_reader.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

const ObjectSpec &blockUseSpec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s = *nodeUnion().variant("block");
    for (const KeySpec &key : nodeUnion().common)
      if (key.name == "name" || key.name == "inputs")
        s.keys.push_back(key);
    s.keys.push_back({.name = "op", .forms = {Form::String}, .doc = ""});
    s.open = false;
    return s;
  }();
  return spec;
}

} // namespace

void GraphReader::expandNodes(size_t scope, const Json &nodes) {
  for (const Json &node : nodes.items)
    expandNode(scope, node);
}

void GraphReader::expandNode(size_t scope, const Json &node) {
  const Json *name = node.find("name");
  if (!name || !name->isString() || !isName(name->text)) {
    fail(name ? *name : node, "a node needs a 'name' of letters, digits, '_', '.' and '-'{}",
         name ? ", but got " + describe(*name) : "");
    return;
  }
  if (graph_.nodes.size() >= kMaxNodes) {
    if (graph_.nodes.size() == kMaxNodes) // once
      fail(node, "a model is limited to {} nodes", kMaxNodes);
    graph_.nodes.emplace_back();
    nodeScopes_.push_back(scope);
    return;
  }
  std::string full = scopes_[scope].prefix + name->text;
  const Json *op = node.find("op");
  if (op && op->isString() && op->text == "block")
    return expandBlock(scope, node, full);

  size_t index = graph_.nodes.size();
  bool fresh = claimName(full, {Entity::Kind::Node, index}, name->place);
  KeyChecker checker(document_, diag_);
  bool good =
      checker.within(fmt::format("in node '{}'", full), document_.loc(node)).choice(node, nodeUnion());
  if (!good)
    reported_ = checker.failure();
  if (!fresh)
    return;
  GraphNode &made = graph_.nodes.emplace_back();
  nodeScopes_.push_back(scope);
  made.use = {.name = full, .json = &node};
  if (!good)
    return;
  made.use.layer = findLayer(op->text);
  made.use.op = made.use.layer ? nullptr : findOp(op->text);
  made.use.operands = node.find("inputs");
}

bool GraphReader::checkBlockUse(const Json &node, const Json &block, const std::string &name) {
  ObjectSpec spec = blockUseSpec();
  if (const Json *args = block.find("args"))
    for (const JsonKey &key : args->keys)
      spec.keys.push_back({.name = key.name, .forms = {Form::Any}, .doc = ""});
  KeyChecker checker(document_, diag_);
  if (!checker.keys(node, fmt::format("block '{}'", node.find("block")->text), "argument", {&spec.keys})) {
    reported_ = checker.failure();
    return false;
  }
  const Json *inputs = block.find("inputs"), *operands = node.find("inputs"),
             *outputs = block.find("outputs");
  size_t given = operands ? operands->items.size() : 0;
  if (given != inputs->items.size())
    return fail(operands ? *operands : node, "node '{}': block '{}' takes {} input{}, but got {}", name,
                node.find("block")->text, inputs->items.size(), inputs->items.size() == 1 ? "" : "s", given);
  const Json *repeat = node.find("repeat");
  if (repeat && inputs->items.size() != outputs->items.size())
    return fail(*repeat,
                "node '{}': to be repeated, block '{}' needs as many outputs as inputs, but has {} and {}",
                name, node.find("block")->text, outputs->items.size(), inputs->items.size());
  return true;
}

const Json *GraphReader::findBlock(const Json &node, const std::string &name) {
  const Json *blocks = document_.root.find("blocks"), *which = node.find("block");
  if (!which || !which->isString()) {
    fail(which ? *which : node, "node '{}': op block needs 'block', the name of one of \"blocks\"", name);
    return nullptr;
  }
  const Json *block = blocks && !isFreeKey(which->text) ? blocks->find(which->text) : nullptr;
  if (!block) {
    std::vector<std::string_view> names;
    if (blocks)
      for (const JsonKey &key : blocks->keys)
        names.push_back(key.name);
    fail(*which, "node '{}': unknown block '{}'{}", name, which->text, proposal(which->text, names));
  } else if (std::ranges::find(openBlocks_, which->text) != openBlocks_.end()) {
    fail(*which, "block '{}' contains itself: {} → {}", which->text, fmt::join(openBlocks_, " → "),
         which->text);
    return nullptr;
  }
  return block;
}

void GraphReader::expandBlock(size_t scope, const Json &node, const std::string &name) {
  const Json *block = findBlock(node, name);
  if (!block || !checkBlockUse(node, *block, name)) {
    entities_.try_emplace(name, Entity{Entity::Kind::Failed});
    return;
  }
  const Json *repeat = node.find("repeat"), *previous = nullptr;
  openBlocks_.push_back(node.find("block")->text);
  for (int64_t i = 0; i < (repeat ? *repeat->integer() : 1); ++i) {
    Scope inner{.prefix = repeat ? fmt::format("{}.{}.", name, i) : name + "."};
    if (!expandOnce(scope, node, *block, std::move(inner), previous))
      break;
    previous = block->find("outputs");
  }
  openBlocks_.pop_back();
}

/// One repetition. The block's name stands for the outputs of the latest.
bool GraphReader::expandOnce(size_t user, const Json &node, const Json &block, Scope scope,
                             const Json *previousOutputs) {
  if (scopes_.size() > kMaxNodes)
    return fail(node, "a model is limited to {} uses of blocks", kMaxNodes);
  size_t index = scopes_.size();
  const Json &inputs = *block.find("inputs");
  std::string name = scopes_[user].prefix + node.find("name")->text;
  size_t before = previousOutputs ? entities_.find(name)->second.index : user;
  for (size_t i = 0; i < inputs.items.size(); ++i) {
    const Json &operands = previousOutputs ? *previousOutputs : *node.find("inputs");
    scope.inputs[inputs.items[i].text] = {before, &operands.items[i]};
  }
  scopes_.push_back(std::move(scope));
  if (previousOutputs)
    entities_.find(name)->second.index = index;
  else if (!claimName(name, {Entity::Kind::Block, index, block.find("outputs")}, node.find("name")->place))
    return false;
  graph_.expanded.push_back(substitute(*block.find("nodes"), node, block));
  expandNodes(index, graph_.expanded.back());
  return true;
}

Json GraphReader::substitute(const Json &value, const Json &node, const Json &block) {
  if (value.isString() && value.text.starts_with('$')) {
    std::string_view name = std::string_view(value.text).substr(1);
    const Json *args = block.find("args");
    if (args && args->find(name))
      return node.find(name) ? *node.find(name) : *args->find(name);
    std::vector<std::string_view> names;
    if (args)
      for (const JsonKey &key : args->keys)
        names.push_back(key.name);
    fail(value, "the block has no argument '{}'{}", name, proposal(name, names));
    return value;
  }
  Json copy = value;
  for (size_t i = 0; i < copy.items.size(); ++i)
    copy.items[i] = substitute(value.items[i], node, block);
  return copy;
}

} // namespace gradc
