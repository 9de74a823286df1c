#include "frontend/schema.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "frontend/tables.h"

namespace gradc {
namespace {

using Schema = nlohmann::ordered_json;

constexpr const char *kNamePattern = "^[A-Za-z_][A-Za-z0-9_.-]*$";

/// Writes every object and choice once, under "definitions".
class SchemaWriter {
public:
  Schema write();

private:
  Schema form(Form form, const KeySpec &key);
  Schema keySchema(const KeySpec &key);
  Schema object(const ObjectSpec &spec);
  Schema choice(const UnionSpec &spec, const std::string &name);
  Schema reference(const std::string &name, auto &&make);
  Schema objectReference(const KeySpec &key);
  Schema choiceReference(const KeySpec &key);
  void properties(Schema &schema, const std::vector<KeySpec> &keys);

  Schema definitions_ = Schema::object();
};

Schema integer(double min, double max) {
  Schema schema = {{"type", "integer"}};
  if (std::isfinite(min))
    schema["minimum"] = static_cast<int64_t>(min);
  if (std::isfinite(max))
    schema["maximum"] = static_cast<int64_t>(max);
  return schema;
}

Schema number(const KeySpec &key) {
  Schema schema = {{"type", "number"}};
  if (std::isfinite(key.min))
    schema["minimum"] = key.min;
  if (std::isfinite(key.max))
    schema["maximum"] = key.max;
  return schema;
}

Schema listOf(Schema element, int count = -1) {
  Schema schema = {{"type", "array"}, {"items", std::move(element)}};
  if (count >= 0) {
    schema["minItems"] = count;
    schema["maxItems"] = count;
  }
  return schema;
}

/// A list of integers whose first may be "N".
Schema sizes(double min) {
  Schema first = {{"anyOf", {{{"const", "N"}}, integer(min, INFINITY)}}};
  return {{"type", "array"}, {"items", Schema::array({first})}, {"additionalItems", integer(min, INFINITY)}};
}

Schema words(const std::vector<std::string_view> &list) {
  Schema schema = {{"enum", Schema::array()}};
  for (std::string_view word : list)
    schema["enum"].push_back(word);
  return schema;
}

Schema SchemaWriter::reference(const std::string &name, auto &&make) {
  if (!definitions_.contains(name)) {
    definitions_[name] = Schema::object(); // ends recursion
    Schema made = make();
    definitions_[name] = std::move(made);
  }
  return {{"$ref", "#/definitions/" + name}};
}

Schema SchemaWriter::objectReference(const KeySpec &key) {
  const ObjectSpec &spec = key.object();
  bool withShape = !spec.keys.empty() && spec.keys[0].name == "shape" && spec.name == "parameter";
  return reference(withShape ? "param" : std::string(spec.name), [&] { return object(spec); });
}

Schema SchemaWriter::choiceReference(const KeySpec &key) {
  const UnionSpec &spec = key.choice();
  bool withValue = key.choice == scheduledNumberUnion;
  std::string name(withValue ? "scheduled_number" : spec.name);
  return reference(name, [&] { return choice(spec, name); });
}

Schema SchemaWriter::form(Form form, const KeySpec &key) {
  switch (form) {
  case Form::Bool: return {{"type", "boolean"}};
  case Form::Integer: return integer(key.min, key.max);
  case Form::Number: return number(key);
  case Form::String:
  case Form::Name: return {{"type", "string"}};
  case Form::File: return {{"type", "string"}, {"pattern", "^[^/]"}};
  case Form::Word: return words(key.words);
  case Form::Pair: return listOf(integer(key.min, key.max), 2);
  case Form::Padding: return listOf(listOf(integer(key.min, key.max), 2), 2);
  case Form::Shape: return sizes(1);
  case Form::Integers: return sizes(key.min);
  case Form::Numbers: return listOf(number(key));
  case Form::Strings: return listOf({{"type", "string"}});
  case Form::Values:
    return reference("values", [] {
      return Schema{{"anyOf", {{{"type", "number"}}, listOf({{"$ref", "#/definitions/values"}})}}};
    });
  case Form::Operands: return listOf({{"type", {"string", "number"}}});
  case Form::Object: return objectReference(key);
  case Form::Union: return choiceReference(key);
  case Form::Objects: return listOf(key.choice ? choiceReference(key) : objectReference(key));
  case Form::Map:
    return {{"type", "object"},
            {"properties", {{"$schema", true}, {"description", true}}},
            {"propertyNames", {{"anyOf", {{{"pattern", kNamePattern}}, {{"const", "$schema"}}}}}},
            {"additionalProperties", objectReference(key)}};
  case Form::FieldMap: return {{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  case Form::AnyMap: return {{"type", "object"}};
  case Form::Any: return Schema::object();
  }
  return Schema::object();
}

Schema SchemaWriter::keySchema(const KeySpec &key) {
  Schema forms = Schema::array();
  for (Form f : key.forms)
    forms.push_back(form(f, key));
  Schema schema = forms.size() == 1 ? forms[0] : Schema{{"anyOf", forms}};
  if (schema.contains("$ref"))
    schema = {{"allOf", Schema::array({schema})}}; // beside $ref nothing counts in draft-07
  std::string text(key.doc);
  if (!key.fallback.empty())
    text += fmt::format(" (default {})", key.fallback);
  schema["description"] = text;
  return schema;
}

void SchemaWriter::properties(Schema &schema, const std::vector<KeySpec> &keys) {
  for (const KeySpec &key : keys) {
    schema["properties"][std::string(key.name)] = keySchema(key);
    if (key.required)
      schema["required"].push_back(key.name);
  }
}

Schema emptyObject(std::string_view doc, bool open) {
  Schema schema = {{"type", "object"},
                   {"description", doc},
                   {"properties", {{"$schema", {{"type", "string"}}}, {"description", Schema::object()}}}};
  if (!open)
    schema["additionalProperties"] = false;
  return schema;
}

Schema SchemaWriter::object(const ObjectSpec &spec) {
  Schema schema = emptyObject(spec.doc, spec.open);
  properties(schema, spec.keys);
  return schema;
}

/// By the tag's value one definition of all keys applies, which gives editors better messages than anyOf.
Schema SchemaWriter::choice(const UnionSpec &spec, const std::string &name) {
  Schema tag = {{"enum", Schema::array()}};
  Schema rules = Schema::array();
  const std::string tagName(spec.tag);
  for (const ObjectSpec &variant : spec.variants) {
    tag["enum"].push_back(variant.name);
    Schema body = emptyObject(variant.doc, variant.open);
    body["properties"][tagName] = Schema::object();
    properties(body, spec.common);
    properties(body, variant.keys);
    Schema then = reference(fmt::format("{}.{}", name, variant.name), [&] { return body; });
    Schema test = {{"properties", {{tagName, {{"const", variant.name}}}}}, {"required", {tagName}}};
    if (spec.untagged == variant.name)
      test = {{"not", {{"required", {tagName}}}}};
    rules.push_back({{"if", test}, {"then", then}});
  }
  Schema object = {{"type", "object"}, {"properties", {{tagName, tag}}}, {"allOf", rules}};
  if (spec.untagged.empty())
    object["required"] = {tagName};
  if (!spec.shorthand)
    return object;
  Schema shorthand = {{"enum", Schema::array()}};
  for (const ObjectSpec &variant : spec.variants)
    if (std::ranges::none_of(variant.keys, &KeySpec::required))
      shorthand["enum"].push_back(variant.name);
  return {{"if", {{"type", "string"}}}, {"then", shorthand}, {"else", object}};
}

Schema SchemaWriter::write() {
  Schema model = object(modelSpec());
  Schema schema = {{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "gradc model file"}};
  schema.update(model);
  // The nodes of a block may hold "$argument" anywhere, so only their frame is checked.
  definitions_["block"]["properties"]["nodes"] = {
      {"type", "array"}, {"items", {{"type", "object"}, {"required", {"name", "op"}}}}};
  schema["definitions"] = definitions_;
  return schema;
}

} // namespace

std::string modelSchema() { return SchemaWriter().write().dump(2) + "\n"; }

} // namespace gradc
