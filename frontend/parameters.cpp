#include "frontend/parameters.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "frontend/values.h"
#include "support/check.h"

namespace gradc {
namespace {

using Kind = InitSpec::Kind;

/// Initialisers with the names of their two numbers and the numbers' defaults.
struct InitRow {
  std::string_view name;
  Kind kind;
  std::string_view a = {}, b = {};
  double defaultA = 0, defaultB = 0;
  bool usesFans = false;
};

constexpr std::array kInits = {
    InitRow{"zeros", Kind::Zeros},
    InitRow{"ones", Kind::Ones},
    InitRow{"constant", Kind::Constant, "value"},
    InitRow{"normal", Kind::Normal, "mean", "std", 0, 1},
    InitRow{"uniform", Kind::Uniform, "low", "high", 0, 1},
    InitRow{"glorot_uniform", Kind::GlorotUniform, "", "", 0, 0, true},
    InitRow{"glorot_normal", Kind::GlorotNormal, "", "", 0, 0, true},
    InitRow{"he_uniform", Kind::HeUniform, "", "", 0, 0, true},
    InitRow{"he_normal", Kind::HeNormal, "", "", 0, 0, true},
    InitRow{"lecun_normal", Kind::LecunNormal, "", "", 0, 0, true},
    InitRow{"orthogonal", Kind::Orthogonal, "", "", 0, 0, true},
    InitRow{"sparse_normal", Kind::SparseNormal, "density", "std", 0.1, 0.01},
    InitRow{"values", Kind::Values},
    InitRow{"npy", Kind::Npy},
    InitRow{"fan_in_uniform", Kind::FanInUniform, "", "", 0, 0, true},
};

const InitRow &row(std::string_view name) {
  for (const InitRow &init : kInits)
    if (init.name == name)
      return init;
  CHECK(false, "no initialiser is called '{}'", name);
  std::unreachable();
}

/// Inputs per unit and units per input, from the shape: size / shape[0] and size / shape[1].
Fans fansOf(const Shape &shape) {
  if (shape.rank() == 0)
    return {1, 1};
  int64_t size = shape.elements();
  return {shape.rank() == 1 ? size : size / shape[0], shape.rank() == 1 ? size : size / shape[1]};
}

/// Nested lists of numbers as the file has them, or one number.
Attr listOf(const Json &values) {
  if (values.isNumber())
    return values.number;
  AttrList list;
  for (const Json &item : values.items)
    list.push_back(listOf(item));
  return list;
}

/// Its numbers in order.
void flatten(const Attr &values, std::vector<double> &into) {
  if (const double *number = values.as<double>())
    into.push_back(*number);
  else
    for (const Attr &item : *values.as<AttrList>())
      flatten(item, into);
}

/// A keyword where that says it all, else {type = normal, mean = 0.0, std = 0.01}.
Rule<Attr> initAttr(const Json *init, const Shape &shape, Fans fans, std::string_view otherwise) {
  std::string name = !init              ? std::string(otherwise.empty() ? "fan_in_uniform" : otherwise)
                     : init->isString() ? init->text
                                        : init->find("type")->text;
  const InitRow &known = row(name);
  Dict dict;
  dict.set("type", Keyword{name});
  for (auto [key, fallback] : {std::pair{known.a, known.defaultA}, std::pair{known.b, known.defaultB}})
    if (!key.empty()) {
      const Json *given = init ? init->find(key) : nullptr;
      dict.set(key, given ? given->number : fallback);
    }
  Fans own = fansOf(shape);
  if (known.usesFans && fans.in != own.in)
    dict.set("fan_in", fans.in);
  bool isGlorot = known.kind == Kind::GlorotUniform || known.kind == Kind::GlorotNormal;
  if (isGlorot && fans.out != own.out)
    dict.set("fan_out", fans.out);
  if (known.kind == Kind::Npy)
    dict.set("file", init->find("file")->text);
  if (known.kind == Kind::Values) {
    const Json &values = *init->find("values");
    std::optional<Shape> given = shapeOf(values);
    if (!values.isNumber() && given != shape)
      return std::unexpected(fmt::format("the values are {} but the parameter is {}",
                                         given ? toString(*given) : "lists of unequal length",
                                         toString(shape)));
    dict.set("values", listOf(values));
  }
  bool isWord = std::next(dict.begin()) == dict.end();
  return isWord ? Attr(Keyword{name}) : Attr(std::move(dict));
}

/// A pattern may name the parameter or what it belongs to.
bool isAmong(std::string_view name, std::span<const std::string> patterns) {
  return std::ranges::any_of(patterns, [&](const std::string &pattern) {
    return matchesGlob(name, pattern) || matchesGlob(name, pattern + ".*");
  });
}

bool isTrained(std::string_view name, const TrainedParameters &trained, bool otherwise) {
  return (trained.only.empty() ? otherwise : isAmong(name, trained.only)) && !isAmong(name, trained.frozen);
}

} // namespace

ParameterRules readParameterRules(const JsonDocument &document, TrainedParameters trained) {
  ParameterRules rules;
  rules.trained = std::move(trained);
  const Json *train = document.root.find("train");
  const Json *groups = train ? train->find("groups") : nullptr;
  for (size_t i = 0; groups && i < groups->items.size(); ++i)
    rules.groups.push_back({groups->items[i].find("match")->text, &groups->items[i]});
  return rules;
}

Rule<Dict> parameterAttrs(const std::string &name, const Shape &shape, Fans fans, const Json *json,
                          const ParameterRules &rules, std::string_view otherwise) {
  if (json && !json->isObject())
    json = nullptr;
  if (fans.in == 0)
    fans = fansOf(shape);
  Rule<Attr> init = initAttr(json ? json->find("init") : nullptr, shape, fans, otherwise);
  if (!init)
    return std::unexpected(init.error());
  // The parameter's own setting, else that of the last group that matches.
  auto setting = [&](std::string_view key) -> const Json * {
    const Json *found = json ? json->find(key) : nullptr;
    for (auto group = rules.groups.rbegin(); !found && group != rules.groups.rend(); ++group)
      if (matchesGlob(name, group->match))
        found = group->json->find(key);
    return found;
  };
  Dict attrs;
  attrs.set("init", *init);
  const Json *trainable = setting("trainable");
  if (!isTrained(name, rules.trained, !trainable || trainable->boolean))
    attrs.set("trainable", false);
  if (const Json *norm = setting("max_norm"); norm && norm->number > 0)
    attrs.set("max_norm", norm->number);
  if (const Json *factor = setting("learning_rate"); factor && factor->number != 1)
    attrs.set("learning_rate", factor->number);
  if (const Json *decay = setting("weight_decay"))
    attrs.set("weight_decay", decay->number);
  return attrs;
}

void checkTrained(const TrainedParameters &trained, const Module &module, Diagnostics &diag) {
  std::vector<std::string_view> parameters, nodes;
  bool isAnyTrained = false;
  for (const Variable &variable : module.variables)
    if (variable.kind == VarKind::Param) {
      parameters.push_back(variable.name);
      nodes.push_back(parameters.back().substr(0, variable.name.rfind('.')));
      isAnyTrained |= variableSpec(variable).trainable;
    }
  bool areKnown = true;
  for (const auto &[flag, patterns] : {std::pair{"--only", &trained.only}, {"--freeze", &trained.frozen}})
    for (const std::string &pattern : *patterns)
      if (std::ranges::none_of(parameters, [&](std::string_view name) {
            return isAmong(name, {&pattern, 1});
          })) {
        (void)diag.error({}, "{}: no parameter and no node with parameters is called '{}'{}", flag, pattern,
                         proposal(pattern, nodes));
        areKnown = false;
      }
  if (areKnown && !isAnyTrained && !trained.frozen.empty())
    (void)diag.error({}, "--freeze leaves no parameter to train");
}

VariableSpec variableSpec(const Variable &variable) {
  VariableSpec spec;
  spec.kind = static_cast<VariableSpec::Kind>(variable.kind);
  spec.name = variable.name;
  spec.shape.assign(variable.type.shape.begin(), variable.type.shape.end());
  const Attr *trainable = variable.attrs.find("trainable");
  spec.trainable =
      variable.kind == VarKind::Param && !(trainable && trainable->as<bool>() && !*trainable->as<bool>());
  Fans fans = fansOf(variable.type.shape);
  spec.init = {.kind = variable.kind == VarKind::Param ? Kind::FanInUniform : Kind::Zeros,
               .fanIn = fans.in,
               .fanOut = fans.out};
  const Attr *init = variable.attrs.find("init");
  const Dict *dict = init ? init->as<Dict>() : nullptr;
  const Keyword *word = dict ? dict->find("type")->as<Keyword>() : init ? init->as<Keyword>() : nullptr;
  if (!word)
    return spec;
  const InitRow &known = row(word->word);
  spec.init.kind = known.kind;
  spec.init.a = known.defaultA;
  spec.init.b = known.defaultB;
  if (!dict)
    return spec;
  if (!known.a.empty())
    spec.init.a = dict->f64(known.a);
  if (!known.b.empty())
    spec.init.b = dict->f64(known.b);
  spec.init.fanIn = dict->has("fan_in") ? dict->i64("fan_in") : fans.in;
  spec.init.fanOut = dict->has("fan_out") ? dict->i64("fan_out") : fans.out;
  if (known.kind == Kind::Npy)
    spec.init.file = dict->str("file");
  if (const Attr *values = dict->find("values")) {
    flatten(*values, spec.init.values);
    if (values->as<double>())
      spec.init.values.resize(static_cast<size_t>(variable.type.elements()), *values->as<double>());
  }
  return spec;
}

} // namespace gradc
