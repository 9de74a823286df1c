#include "frontend/keys.h"

#include <algorithm>
#include <cmath>

#include "frontend/tables.h"

namespace gradc {

const ObjectSpec *UnionSpec::variant(std::string_view word) const {
  auto at = std::ranges::find(variants, word, &ObjectSpec::name);
  return at == variants.end() ? nullptr : &*at;
}

bool isName(std::string_view text) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() <= 200 && letter(text[0]) && std::ranges::all_of(text, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

bool isFreeKey(std::string_view key) { return key == "$schema" || key == "description"; }

namespace {

bool inRange(const Json &value, const KeySpec &key) {
  return value.number >= key.min && value.number <= key.max;
}
bool isInteger(const Json &value, const KeySpec &key) { return value.integer() && inRange(value, key); }
bool isNumber(const Json &value, const KeySpec &key) {
  return value.isNumber() && std::isfinite(value.number) && inRange(value, key);
}
bool isString(const Json &value) { return value.isString(); }

bool isListOf(const Json &value, auto &&element) {
  return value.isArray() && std::ranges::all_of(value.items, element);
}

bool isBatch(const Json &value) { return value.isString() && value.text == "N"; }

/// Integers of at least `min`, where the first may be "N".
bool isShape(const Json &value, double min) {
  return value.isArray() && std::ranges::all_of(value.items, [&](const Json &item) {
           return (&item == value.items.data() && isBatch(item)) || (item.integer() && item.number >= min);
         });
}

bool isPair(const Json &value, const KeySpec &key) {
  return value.items.size() == 2 && isListOf(value, [&](const Json &item) { return isInteger(item, key); });
}

bool isValues(const Json &value) { return value.isNumber() || isListOf(value, isValues); }

bool isFieldMap(const Json &value) { return value.isObject() && std::ranges::all_of(value.items, isString); }

/// A relative path without "..": a model file from a stranger reads nothing but the data folder.
bool isFile(const Json &value) {
  std::string_view path = value.text;
  if (!value.isString() || path.empty() || path[0] == '/' || path.find('\0') != path.npos)
    return false;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..")
      return false;
    begin = end + 1;
  }
  return true;
}

std::string range(const KeySpec &key) {
  bool low = std::isfinite(key.min), high = key.max < kMaxSize; // a limit of size is not worth a word
  if (key.min == key.max)
    return fmt::format(" that is {}", key.min);
  if (low && high)
    return fmt::format(" between {} and {}", key.min, key.max);
  return low ? fmt::format(" of at least {}", key.min) : high ? fmt::format(" of at most {}", key.max) : "";
}

std::string formText(Form form, const KeySpec &key) {
  switch (form) {
  case Form::Bool: return "true or false";
  case Form::Integer: return "an integer" + range(key);
  case Form::Number: return "a number" + range(key);
  case Form::String: return "a string";
  case Form::Name: return "a name";
  case Form::Word:
    return key.words.size() == 1 ? fmt::format("\"{}\"", key.words[0])
                                 : fmt::format("one of {}", fmt::join(key.words, ", "));
  case Form::Pair: return "[h, w]";
  case Form::Padding: return "[[top, bottom], [left, right]]";
  case Form::Shape: return "a list of integers of at least 1, of which the first may be \"N\"";
  case Form::Integers: return fmt::format("a list of integers{}", std::isfinite(key.min) ? range(key) : "");
  case Form::Numbers: return "a list of numbers" + range(key);
  case Form::Strings: return "a list of strings";
  case Form::Values: return "numbers in lists";
  case Form::Operands: return "a list of names and numbers";
  case Form::Object: return "an object";
  case Form::Union: return key.choice().shorthand ? "a name or an object" : "an object";
  case Form::Objects: return "a list of objects";
  case Form::Map:
  case Form::FieldMap:
  case Form::AnyMap: return "an object";
  case Form::Any: return "a value";
  case Form::File: return "a file name within the data folder";
  }
  return {};
}

} // namespace

bool matches(const Json &value, Form form, const KeySpec &key) {
  switch (form) {
  case Form::Bool: return value.is(Json::Kind::Bool);
  case Form::Integer: return isInteger(value, key);
  case Form::Number: return isNumber(value, key);
  case Form::String: return value.isString();
  case Form::Name: return value.isString() && !value.text.empty();
  case Form::Word: return value.isString() && std::ranges::find(key.words, value.text) != key.words.end();
  case Form::Pair: return isPair(value, key);
  case Form::Padding:
    return value.items.size() == 2 && isListOf(value, [&](const Json &item) { return isPair(item, key); });
  case Form::Shape: return isShape(value, 1);
  case Form::Integers: return isShape(value, key.min);
  case Form::Numbers: return isListOf(value, [&](const Json &item) { return isNumber(item, key); });
  case Form::Strings: return isListOf(value, isString);
  case Form::Values: return isValues(value);
  case Form::Operands:
    return isListOf(
        value, [](const Json &item) { return item.isNumber() || (item.isString() && !item.text.empty()); });
  case Form::Object:
  case Form::Map:
  case Form::AnyMap: return value.isObject();
  case Form::FieldMap: return isFieldMap(value);
  case Form::Any: return true;
  case Form::File: return isFile(value);
  case Form::Union: return value.isObject() || (key.choice().shorthand && value.isString());
  case Form::Objects: return isListOf(value, [](const Json &item) { return item.isObject(); });
  }
  return false;
}

std::string expectation(const KeySpec &key) {
  std::vector<std::string> texts;
  for (Form form : key.forms)
    if (std::string text = formText(form, key); std::ranges::find(texts, text) == texts.end())
      texts.push_back(text);
  std::string last = texts.back();
  texts.pop_back();
  return texts.empty() ? last : fmt::format("{} or {}", fmt::join(texts, ", "), last);
}

/// The element that keeps a list from having its form, where there is one; else the value itself.
static const Json &culprit(const Json &value, const KeySpec &key) {
  bool wantsList = key.forms.size() == 1 && key.forms[0] >= Form::Shape;
  Json one{.kind = Json::Kind::Array};
  for (size_t i = 0; wantsList && i < value.items.size(); ++i) {
    const Json &item = value.items[i];
    one.items = {item};
    bool isSizes = key.forms[0] == Form::Shape || key.forms[0] == Form::Integers;
    bool late = isSizes && item.isString() && i > 0;
    if (late || !matches(one, key.forms[0], key))
      return item;
  }
  return value;
}

bool KeyChecker::value(const Json &value, const KeySpec &key, std::string_view owner) {
  for (Form form : key.forms)
    if (matches(value, form, key))
      return nested(value, key, owner);
  const Json &wrong = value.isArray() ? culprit(value, key) : value;
  return fail(document_.loc(wrong), "'{}' of {} expects {}, but got {}{}", key.name, owner, expectation(key),
              describe(wrong), value.isString() ? proposal(value.text, key.words) : "");
}

/// Looks into the objects of a value whose own form is right.
bool KeyChecker::nested(const Json &value, const KeySpec &key, std::string_view owner) {
  if (key.deferred)
    return true;
  auto has = [&](Form form) { return std::ranges::find(key.forms, form) != key.forms.end(); };
  if (has(Form::Map) && value.isObject())
    return map(value, key, owner);
  auto one = [&](const Json &item) {
    return key.choice ? choice(item, key.choice()) : object(item, key.object());
  };
  if (value.isObject() && (has(Form::Object) || has(Form::Union)))
    return one(value);
  if (value.isString() && has(Form::Union) && !has(Form::Word))
    return one(value);
  bool ok = true;
  if (value.isArray() && has(Form::Objects))
    for (const Json &item : value.items)
      ok &= one(item);
  return ok;
}

bool KeyChecker::map(const Json &value, const KeySpec &key, std::string_view owner) {
  bool ok = true;
  for (size_t i = 0; i < value.items.size(); ++i) {
    const JsonKey &name = value.keys[i];
    if (isFreeKey(name.name))
      continue;
    if (!isName(name.name))
      ok = fail(document_.loc(name.place),
                "'{}' in '{}' of {} is not a name: letters, digits, '_', '.' and '-', and not a digit, '.' "
                "or '-' first",
                name.name, key.name, owner);
    else if (!value.items[i].isObject())
      ok = fail(document_.loc(value.items[i]), "'{}' in '{}' expects an object, but got {}", name.name,
                key.name, describe(value.items[i]));
    else
      ok &= object(value.items[i], key.object());
  }
  return ok;
}

bool KeyChecker::object(const Json &value, const ObjectSpec &spec) {
  return keys(value, spec.name, "key", {&spec.keys}, {}, spec.open);
}

bool KeyChecker::unknownWord(const Json &tag, const UnionSpec &spec) {
  std::vector<std::string_view> words;
  for (const ObjectSpec &candidate : spec.variants)
    words.push_back(candidate.name);
  std::string hint = proposal(tag.text, words);
  if (hint.empty() && words.size() <= 16)
    hint = fmt::format("; expects one of {}", fmt::join(words, ", "));
  return fail(document_.loc(tag), "unknown {} '{}'{}", spec.what, tag.text, hint);
}

bool KeyChecker::choice(const Json &value, const UnionSpec &spec) {
  const Json *tag = value.isString() ? &value : value.find(spec.tag);
  if (!tag && spec.untagged.empty())
    return fail(document_.loc(value), "{} needs '{}'", spec.name, spec.tag);
  if (tag && !tag->isString())
    return fail(document_.loc(*tag), "'{}' of {} expects a string, but got {}", spec.tag, spec.name,
                describe(*tag));
  const ObjectSpec *variant = spec.variant(tag ? tag->text : spec.untagged);
  if (!variant)
    return unknownWord(*tag, spec);
  return keys(value, variant->name, spec.keyNoun, {&spec.common, &variant->keys}, spec.tag, variant->open);
}

bool KeyChecker::keys(const Json &value, std::string_view name, std::string_view noun,
                      const std::vector<const std::vector<KeySpec> *> &sets, std::string_view tag,
                      bool open) {
  std::vector<const KeySpec *> known;
  std::vector<std::string_view> names;
  for (const std::vector<KeySpec> *set : sets)
    for (const KeySpec &key : *set) {
      known.push_back(&key);
      names.push_back(key.name);
    }
  bool ok = true;
  for (size_t i = 0; i < value.keys.size(); ++i) {
    const JsonKey &given = value.keys[i];
    if (isFreeKey(given.name) || given.name == tag)
      continue;
    auto at = std::ranges::find(names, given.name);
    if (at != names.end())
      ok &= this->value(value.items[i], *known[at - names.begin()], name);
    else if (!open)
      ok = fail(document_.loc(given.place), "{} has no {} '{}'{}", name, noun, given.name,
                proposal(given.name, names));
  }
  for (const KeySpec *key : known)
    if (key->required && !value.find(key->name))
      ok = fail(document_.loc(value), "{} needs '{}'", name, key->name);
  return ok;
}

} // namespace gradc
