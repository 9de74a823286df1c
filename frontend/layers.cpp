// The layer table, and what a node may be: its rows and the primitives of the op table.
#include <algorithm>
#include <deque>

#include "frontend/layer.h"
#include "frontend/tables.h"
#include "frontend/values.h"

namespace gradc {

const std::vector<LayerDef> &layerTable() {
  static const std::vector<LayerDef> table = [] {
    std::vector<LayerDef> rows;
    for (auto file :
         {denseLayers, spatialLayers, normLayers, embeddingLayers, dropoutLayers, lossLayers, sourceLayers})
      std::ranges::move(file(), std::back_inserter(rows));
    std::ranges::sort(rows, {}, [](const LayerDef &row) { return row.spec.name; });
    return rows;
  }();
  return table;
}

const LayerDef *findLayer(std::string_view name) {
  const std::vector<LayerDef> &table = layerTable();
  auto at = std::ranges::find(table, name, [](const LayerDef &row) { return row.spec.name; });
  return at == table.end() ? nullptr : &*at;
}

bool isNodeOp(const OpDef &def) {
  bool isGradient = def.name.find("_grad") != def.name.npos;
  bool hasAttrs = std::ranges::all_of(def.attrs, [](const AttrSpec &attr) {
    return attr.kind <= AttrKind::DType || attr.kind == AttrKind::Ints;
  });
  return !def.is(kStructural) && !isGradient && hasAttrs && !findLayer(def.name);
}

namespace {

KeySpec keyOf(const AttrSpec &attr) {
  static const std::vector<std::string_view> dtypes = {"f32", "f64", "bf16", "f16", "i8",
                                                       "u8",  "i32", "i64",  "bool"};
  KeySpec key{
      .name = attr.name, .doc = attr.doc, .required = attr.required, .min = attr.min, .max = attr.max};
  switch (attr.kind) {
  case AttrKind::Bool: key.forms = {Form::Bool}; break;
  case AttrKind::I64: key.forms = {Form::Integer}; break;
  case AttrKind::F64: key.forms = {Form::Number}; break;
  case AttrKind::Keyword:
    key.forms = {Form::Word};
    key.words = attr.keywords;
    break;
  case AttrKind::DType:
    key.forms = {Form::Word};
    key.words = dtypes;
    break;
  case AttrKind::Ints: key.forms = {Form::Integers}; break;
  default: key.forms = {Form::String};
  }
  return key;
}

ObjectSpec specOf(const OpDef &def) {
  ObjectSpec spec{def.name, def.doc, {}};
  for (const AttrSpec &attr : def.attrs)
    spec.keys.push_back(keyOf(attr));
  return spec;
}

const ObjectSpec &blockUse() {
  static const ObjectSpec spec{"block",
                               "The nodes of one of \"blocks\"; takes the block's arguments too",
                               {{.name = "block", .forms = {Form::Name}, .doc = "which", .required = true},
                                {.name = "repeat",
                                 .forms = {Form::Integer},
                                 .doc = "one after the other, each fed by the one before",
                                 .min = 1,
                                 .max = 1000}},
                               /*open=*/true};
  return spec;
}

UnionSpec terms(std::string_view name, bool LayerDef::*flag) {
  UnionSpec spec{.name = name,
                 .what = name,
                 .tag = "op",
                 .common = {{.name = "name",
                             .forms = {Form::Name},
                             .doc = "what the log calls it",
                             .fallback = "the op"},
                            {.name = "inputs",
                             .forms = {Form::Operands},
                             .doc = "names of nodes and inputs",
                             .required = true}},
                 .variants = {},
                 .keyNoun = "attribute"};
  for (const LayerDef &layer : layerTable())
    if (layer.*flag)
      spec.variants.push_back(layer.spec);
  return spec;
}

} // namespace

const UnionSpec &activationUnion() {
  static const UnionSpec spec = [] {
    UnionSpec s{.name = "activation",
                .what = "activation",
                .tag = "op",
                .common = {},
                .variants = {},
                .keyNoun = "attribute",
                .shorthand = true};
    for (std::string_view name :
         {"relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "softplus", "square", "abs"})
      s.variants.push_back(specOf(opDef(name)));
    return s;
  }();
  return spec;
}

const UnionSpec &nodeUnion() {
  static const UnionSpec spec = [] {
    UnionSpec s{.name = "node",
                .what = "op",
                .tag = "op",
                .common = {{.name = "name",
                            .forms = {Form::Name},
                            .doc = "what other nodes call it",
                            .required = true},
                           {.name = "inputs",
                            .forms = {Form::Operands},
                            .doc = "names of inputs, params and nodes, and numbers"},
                           {.name = "activation",
                            .forms = {Form::Union},
                            .doc = "applied to the result",
                            .choice = activationUnion}},
                .variants = {},
                .keyNoun = "attribute"};
    for (const LayerDef &layer : layerTable())
      s.variants.push_back(layer.spec);
    for (const OpDef *def : allOps())
      if (isNodeOp(*def))
        s.variants.push_back(specOf(*def));
    s.variants.push_back(blockUse());
    std::ranges::sort(s.variants, {}, &ObjectSpec::name);
    return s;
  }();
  return spec;
}

const UnionSpec &lossUnion() {
  static const UnionSpec spec = [] {
    UnionSpec s = terms("loss", &LayerDef::isLoss);
    s.common.push_back(
        {.name = "weight", .forms = {Form::Number}, .doc = "its factor in the total", .fallback = "1"});
    return s;
  }();
  return spec;
}

const UnionSpec &metricUnion() {
  static const UnionSpec spec = terms("metric", &LayerDef::isMetric);
  return spec;
}

Dict opAttrs(const OpDef &def, const Json &node, int64_t batch) {
  Dict attrs;
  for (const AttrSpec &attr : def.attrs) {
    const Json *value = node.find(attr.name);
    if (!value)
      continue;
    if (attr.kind == AttrKind::Ints)
      attrs.set(attr.name, sizes(*value, batch));
    else if (attr.kind == AttrKind::Bool)
      attrs.set(attr.name, value->boolean);
    else if (attr.kind == AttrKind::I64)
      attrs.set(attr.name, *value->integer());
    else if (attr.kind == AttrKind::F64)
      attrs.set(attr.name, value->number);
    else if (attr.kind == AttrKind::DType)
      attrs.set(attr.name, *parseDType(value->text));
    else if (attr.kind == AttrKind::Keyword)
      attrs.set(attr.name, Keyword{value->text});
    else
      attrs.set(attr.name, value->text);
  }
  return attrs;
}

} // namespace gradc
