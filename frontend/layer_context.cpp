#include "frontend/function_builder.h"
#include "frontend/layer.h"
#include "frontend/values.h"

namespace gradc {

bool LayerContext::training() const { return parent_.training_; }
int64_t LayerContext::batch() const { return parent_.context_.batch; }

int64_t LayerContext::integer(std::string_view key, int64_t fallback) const {
  const Json *value = find(key);
  return value ? *value->integer() : fallback;
}

double LayerContext::number(std::string_view key, double fallback) const {
  const Json *value = find(key);
  return value ? value->number : fallback;
}

std::array<int64_t, 2> LayerContext::pair(std::string_view key, std::array<int64_t, 2> fallback) const {
  const Json *value = find(key);
  if (!value)
    return fallback;
  if (value->isNumber())
    return {*value->integer(), *value->integer()};
  return {*value->items[0].integer(), *value->items[1].integer()};
}

std::optional<ValueId> LayerContext::parameter(std::string_view key, const Shape &shape, Fans fans,
                                               std::string_view init) {
  return parent_.parameter(use_, key, shape, fans, init);
}

std::optional<ValueId> LayerContext::buffer(std::string_view key, const Shape &shape, std::string_view init) {
  return parent_.buffer(use_, key, shape, init);
}

void LayerContext::updateBuffer(std::string_view key, ValueId value) {
  parent_.updates_.emplace_back(fmt::format("{}.{}", name(), key), value);
}

bool LayerContext::wantsBias() const {
  const Json *bias = find("bias");
  return !bias || !bias->is(Json::Kind::Bool) || bias->boolean;
}

ValueId LayerContext::hyper(std::string_view key) {
  return parent_.arg(fmt::format("{}.{}", name(), key), Type{DType::F32, {}}, {{"hyper", {}}},
                     FunctionBuilder::ArgClass::Hyper, parent_.args_.size());
}

ValueId LayerContext::seed() { return parent_.randomArg("seed"); }
ValueId LayerContext::step() { return parent_.randomArg("step"); }
ValueId LayerContext::row0() { return parent_.randomArg("row0"); }

std::string LayerContext::inputText(size_t input) const {
  return fmt::format("'{}' is {}", names_[input], toString(type(input)));
}

std::nullopt_t LayerContext::report(std::string_view key, std::string text) {
  const Json *value = key.empty() ? nullptr : use_.json->find(key);
  return parent_.report(value ? *value : *use_.json, fmt::format("{} '{}': {}", use_.what, name(), text));
}

std::optional<ValueId> LayerContext::op(std::string_view opName, std::vector<ValueId> operands, Dict attrs) {
  const OpDef &def = opDef(opName);
  if (def.is(kElementwise) && operands.size() > 1) {
    Shape shape = b.type(operands[0]).shape;
    for (size_t i = 1; i < operands.size(); ++i) {
      const Type other = b.type(operands[i]);
      std::optional<Shape> common = broadcastShapes(shape, other.shape);
      if (!common)
        return fail("inputs", "{} cannot broadcast {} with {}: {} and {}", opName, toString(shape),
                    toString(other.shape), inputText(0), i < x.size() ? inputText(i) : toString(other));
      shape = *common;
    }
    for (ValueId &operand : operands)
      operand = b.broadcastTo(operand, shape);
  }
  Rule<Dict> normal = normalizeAttrs(def, attrs);
  if (!normal)
    return fail("", "{}", normal.error());
  std::vector<Type> types;
  for (ValueId operand : operands)
    types.push_back(b.type(operand));
  Rule<std::vector<Type>> results = inferTypes(def, types, *normal);
  if (!results)
    return fail("inputs", "{}{}", results.error().starts_with(opName) ? "" : fmt::format("{}: ", opName),
                results.error());
  return b.create(opName, std::move(operands), std::move(*normal));
}

} // namespace gradc
