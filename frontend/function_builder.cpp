#include "frontend/function_builder.h"

#include <algorithm>

#include "frontend/values.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {

FunctionBuilder::FunctionBuilder(BuildContext &context, Function &fn, bool training)
    : context_(context), fn_(fn), b_(fn), training_(training), results_(context.graph.nodes.size()),
      ops_(context.graph.nodes.size()) {}

std::nullopt_t FunctionBuilder::report(const Json &at, std::string text) {
  context_.reported = context_.diag.report(Severity::Error, context_.document.loc(at), std::move(text));
  return std::nullopt;
}

void FunctionBuilder::buildAll() {
  for (size_t node : context_.graph.order)
    buildNode(node);
}

void FunctionBuilder::build(const std::vector<const Reference *> &roots) {
  const Graph &graph = context_.graph;
  std::vector<bool> needed(graph.nodes.size());
  auto need = [&](const Reference &reference) {
    if (reference.kind == Reference::Kind::Node)
      needed[reference.index] = true;
  };
  for (const Reference *root : roots)
    need(*root);
  for (auto node = graph.order.rbegin(); node != graph.order.rend(); ++node)
    if (needed[*node])
      for (const Reference &input : graph.nodes[*node].inputs)
        need(input);
  for (size_t node : graph.order)
    if (needed[node])
      buildNode(node);
}

void FunctionBuilder::buildNode(size_t index) {
  const GraphNode &node = context_.graph.nodes[index];
  current_ = &node;
  b_.at(context_.document.loc(*node.use.json)).named(node.use.name);
  size_t firstNew = fn_.numValues();
  uint32_t firstOp = static_cast<uint32_t>(fn_.numOps());
  std::optional<ValueId> value = buildUse(node.use, node.inputs);
  current_ = nullptr;
  ops_[index] = {firstOp, static_cast<uint32_t>(fn_.numOps())};
  if (!value)
    return;
  OpId def = fn_[*value].def;
  if (gradc::index(*value) >= firstNew)
    giveName(*value, node.use.name, firstNew);
  bool single = def == kNoOp || fn_[def].results.size() == 1 || fn_[def].results[0] != *value;
  results_[index] = single ? std::vector{*value} : fn_[def].results;
}

/// A layer of several ops calls them conv1, conv1~1, …; the last, its value, shall be conv1.
void FunctionBuilder::giveName(ValueId value, const std::string &name, size_t firstNew) {
  for (size_t i = firstNew; i < fn_.numValues(); ++i) {
    ValueId other{static_cast<uint32_t>(i)};
    if (fn_[other].name == name)
      std::swap(fn_[other].name, fn_[value].name);
  }
}

std::optional<ValueId> FunctionBuilder::buildUse(const LayerUse &use, const std::vector<Reference> &inputs) {
  std::optional<std::vector<ValueId>> x = operands(use, inputs);
  if (!x)
    return std::nullopt;
  std::vector<std::string> names;
  for (const Reference &input : inputs)
    names.push_back(input.json->text);
  LayerContext context(*this, b_, use, std::move(*x), std::move(names));
  std::optional<ValueId> y =
      use.layer ? use.layer->build(context)
                : context.op(use.op->name, context.x, opAttrs(*use.op, *use.json, context_.batch));
  return y ? activate(use, *y) : std::nullopt;
}

/// Nothing where an input failed, which is reported already.
std::optional<std::vector<ValueId>> FunctionBuilder::operands(const LayerUse &,
                                                              const std::vector<Reference> &inputs) {
  std::vector<ValueId> values;
  for (const Reference &input : inputs) {
    bool isNumber = input.kind == Reference::Kind::Number;
    std::optional<ValueId> x = isNumber ? scalar(input.number, inputs) : value(input);
    if (!x)
      return std::nullopt;
    values.push_back(*x);
  }
  return values;
}

ValueId FunctionBuilder::scalar(double number, const std::vector<Reference> &inputs) {
  DType dtype = DType::F32;
  for (auto input = inputs.rbegin(); input != inputs.rend(); ++input)
    if (input->kind != Reference::Kind::Number)
      if (std::optional<ValueId> other = value(*input); other && b_.type(*other).dtype != DType::Bool)
        dtype = b_.type(*other).dtype;
  return b_.constant(Tensor::scalar(dtype, number));
}

std::optional<ValueId> FunctionBuilder::activate(const LayerUse &use, ValueId x) {
  const Json *activation = current_ ? use.json->find("activation") : nullptr;
  if (!activation)
    return x;
  LayerContext context(*this, b_, use, {x}, {use.name});
  const Json &op = activation->isString() ? *activation : *activation->find("op");
  return context.op(op.text, {x}, opAttrs(opDef(op.text), *activation, context_.batch));
}

std::optional<ValueId> FunctionBuilder::value(const Reference &reference) {
  switch (reference.kind) {
  case Reference::Kind::Number: return b_.constant(Tensor::scalar(DType::F32, reference.number));
  case Reference::Kind::Input: return input(reference.index);
  case Reference::Kind::Param: return variableArg(context_.graph.params[reference.index].name);
  case Reference::Kind::Node: {
    const std::vector<ValueId> &results = results_[reference.index];
    return results.empty() ? std::nullopt : std::optional(results[reference.result]);
  }
  }
  return std::nullopt;
}

ValueId FunctionBuilder::arg(const std::string &name, Type type, Dict attrs, ArgClass kind, size_t rank) {
  auto found = args_.find(name);
  if (found == args_.end()) {
    ValueId value = fn_.addArg(Function::kBody, std::move(type), name, std::move(attrs), b_.loc());
    found = args_.emplace(name, Arg{value, kind, rank}).first;
  }
  return found->second.value;
}

ValueId FunctionBuilder::variableArg(const std::string &name) {
  const Variable *variable = context_.module.variable(name);
  CHECK(variable, "no declaration of {}", name);
  return arg(name, variable->type, {{"var", SymbolRef{name}}}, ArgClass::Variable,
             variable - context_.module.variables.data());
}

ValueId FunctionBuilder::input(size_t index) {
  const GraphInput &input = context_.graph.inputs[index];
  Location user = b_.loc();
  b_.at(context_.document.loc(*input.json));
  Type type{input.dtype, Shape(sizes(*input.json->find("shape"), context_.batch))};
  ValueId value = arg(input.name, type, {{"input", {}}}, ArgClass::Input, index);
  if (context_.normalization && context_.normalization->input == index)
    value = normalized(value, index);
  b_.at(user);
  return value;
}

ValueId FunctionBuilder::normalized(ValueId image, size_t index) {
  if (auto known = normalized_.find(index); known != normalized_.end())
    return known->second;
  std::string user = b_.name();
  b_.named(context_.graph.inputs[index].name);
  const Type type = b_.type(image);
  auto spread = [&](const std::vector<float> &values) {
    if (values.size() == 1)
      return b_.splat(type, values[0]);
    Tensor tensor(Type{type.dtype, {static_cast<int64_t>(values.size())}});
    for (size_t i = 0; i < values.size(); ++i)
      tensor.set(static_cast<int64_t>(i), values[i]);
    return b_.broadcast(b_.constant(std::move(tensor)), type.shape, {1});
  };
  ValueId centred = b_.sub(image, spread(context_.normalization->mean));
  ValueId value = b_.div(centred, spread(context_.normalization->std));
  b_.named(user);
  return normalized_[index] = value;
}

ValueId FunctionBuilder::randomArg(const char *name) {
  if (!training_)
    return b_.constant(Tensor::scalar(DType::I64, 0));
  constexpr std::string_view order[] = {"seed", "step", "row0"};
  return arg(name, Type{DType::I64, {}}, {}, ArgClass::Random, std::ranges::find(order, name) - order);
}

void FunctionBuilder::addRandomArgs() {
  for (const char *name : {"seed", "step", "row0"})
    randomArg(name);
}

void FunctionBuilder::orderArgs() {
  std::vector<Arg> order;
  for (const auto &[name, arg] : args_)
    order.push_back(arg);
  std::ranges::sort(order, {}, [](const Arg &arg) { return std::pair(arg.kind, arg.rank); });
  std::vector<ValueId> &args = fn_.body().args;
  for (size_t i = 0; i < order.size(); ++i) {
    args[i] = order[i].value;
    fn_[order[i].value].number = static_cast<uint32_t>(i);
  }
}

bool FunctionBuilder::isFree(const LayerUse &use, const std::string &name) {
  auto taken = context_.graph.names.find(name);
  if (taken == context_.graph.names.end())
    return true;
  report(*use.json,
         fmt::format("node '{}': its parameter is called '{}', but that name is taken", use.name, name));
  context_.diag.note(context_.document.loc(taken->second), "it was given here");
  return false;
}

std::optional<ValueId> FunctionBuilder::buffer(const LayerUse &use, std::string_view key, const Shape &shape,
                                               std::string_view init) {
  std::string name = fmt::format("{}.{}", use.name, key);
  if (context_.module.variable(name))
    return variableArg(name);
  if (!isFree(use, name))
    return std::nullopt;
  context_.module.variables.push_back({.kind = VarKind::Buffer,
                                       .name = name,
                                       .type = {DType::F32, shape},
                                       .attrs = {{"init", Keyword{std::string(init)}}},
                                       .loc = b_.loc()});
  return variableArg(name);
}

std::optional<ValueId> FunctionBuilder::parameter(const LayerUse &use, std::string_view key,
                                                  const Shape &shape, Fans fans, std::string_view init) {
  CHECK(current_, "a loss has no parameters");
  for (const GraphNode::Tie &tie : current_->ties)
    if (tie.key == key)
      return tied(use, tie, shape);
  std::string name = fmt::format("{}.{}", use.name, key);
  const Json *own = use.json->find(key);
  if (context_.module.variable(name))
    return variableArg(name);
  if (!isFree(use, name))
    return std::nullopt;
  std::vector<int64_t> dims(shape.begin(), shape.end());
  if (std::optional<std::string> wrong = checkShape(dims))
    return report(*use.json, fmt::format("node '{}': parameter '{}': {}", use.name, name, *wrong));
  Rule<Dict> attrs = parameterAttrs(name, shape, fans, own, context_.rules, init);
  if (!attrs)
    return report(own ? *own : *use.json,
                  fmt::format("node '{}': parameter '{}': {}", use.name, name, attrs.error()));
  context_.module.variables.push_back(
      {.name = name, .type = {DType::F32, shape}, .attrs = *attrs, .loc = b_.loc()});
  return variableArg(name);
}

std::optional<ValueId> FunctionBuilder::tied(const LayerUse &use, const GraphNode::Tie &tie,
                                             const Shape &shape) {
  const Json &at = *use.json->find(tie.key);
  const Variable *variable = context_.module.variable(tie.parameter);
  if (!variable)
    return tie.owner && results_[*tie.owner].empty()
               ? std::nullopt // the owner failed
               : report(at, fmt::format("node '{}': there is no parameter '{}'", use.name, tie.parameter));
  if (!(variable->type.shape == shape))
    return report(at, fmt::format("node '{}': its {} must be {}, but '{}' is {}", use.name, tie.key,
                                  toString(shape), tie.parameter, toString(variable->type.shape)));
  return variableArg(tie.parameter);
}

std::optional<ValueId> FunctionBuilder::term(const GraphTerm &term) {
  b_.at(context_.document.loc(*term.use.json)).named(term.use.name);
  std::optional<ValueId> value = buildUse(term.use, term.inputs);
  if (!value)
    return std::nullopt;
  Type wanted{b_.type(*value).dtype, {context_.batch}};
  if (b_.type(*value) == wanted && isFloat(wanted.dtype))
    return value;
  return report(*term.use.json,
                fmt::format("'{}' expects one number per example, f32[{}], but its inputs give {}",
                            term.use.name, context_.batch, toString(b_.type(*value))));
}

void declareParams(BuildContext &context) {
  for (const GraphParam &param : context.graph.params) {
    Shape shape(sizes(*param.json->find("shape"), 1));
    Rule<Dict> attrs = parameterAttrs(param.name, shape, {}, param.json, context.rules);
    Location loc = context.document.loc(*param.json);
    if (!attrs)
      context.reported = context.diag.error(loc, "params '{}': {}", param.name, attrs.error());
    else
      context.module.variables.push_back(
          {.name = param.name, .type = {DType::F32, shape}, .attrs = *attrs, .loc = loc});
  }
}

} // namespace gradc
