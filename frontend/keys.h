// The grammar of a model file as data: which keys an object takes, what each may hold, and what it means. The
// checker, the JSON schema and the documentation read the same rows, so they cannot disagree.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/json.h"

namespace gradc {

/// What a value may look like. A key lists the forms it takes.
enum class Form : uint8_t {
  Bool,
  Integer, // within the key's range
  Number,  // within the key's range
  String,
  Name,     // of an input, parameter or node
  Word,     // one of the key's words
  Pair,     // [h, w], integers within the range
  Padding,  // [[top, bottom], [left, right]]
  Shape,    // integers of at least 1; the first may be "N"
  Integers, // a list; the first may be "N"
  Numbers,  // a list of numbers within the range
  Strings,  // a list
  Values,   // numbers and lists of them, nested
  Operands, // a list of names and numbers
  Object,   // as the key's object
  Union,    // as the key's choice
  Objects,  // a list of objects or choices
  Map,      // an object whose keys are names and whose values are as the key's object
  FieldMap, // an object from names to strings
  AnyMap,   // an object
  Any,
  File, // a path that stays within the data folder
};

struct ObjectSpec;
struct UnionSpec;

struct KeySpec {
  std::string_view name;
  std::vector<Form> forms;
  std::string_view doc;
  bool required = false;
  std::string_view fallback = {}; // the default, as it would be written; for the reader of the documentation
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string_view> words = {};
  const ObjectSpec &(*object)() = nullptr;
  const UnionSpec &(*choice)() = nullptr;
  bool deferred = false; // nested objects are checked later: nodes, once their blocks are expanded
};

struct ObjectSpec {
  std::string_view name; // in messages and documentation: "train"; the tag's value in a choice: "conv2d"
  std::string_view doc;
  std::vector<KeySpec> keys;
  bool open = false; // takes other keys too
};

/// Objects told apart by the value of one key.
struct UnionSpec {
  std::string_view name; // "init"
  std::string_view what; // what the tag names: "initialiser"
  std::string_view tag;  // "type"
  std::vector<KeySpec> common;
  std::vector<ObjectSpec> variants;
  std::string_view keyNoun = "key"; // "attribute" for nodes
  std::string_view untagged = {};   // the variant meant where the tag is left out
  bool shorthand = false;           // a string s stands for {tag: s}

  const ObjectSpec *variant(std::string_view word) const;
};

/// The whole model file.
const ObjectSpec &modelSpec();

/// Checks a value against its row and reports everything that is wrong with it.
class KeyChecker {
public:
  KeyChecker(const JsonDocument &document, Diagnostics &diag) : document_(document), diag_(diag) {}
  /// A note that follows every error: the node that the value belongs to.
  KeyChecker &within(std::string note, Location loc) {
    note_ = std::move(note);
    noteLoc_ = std::move(loc);
    return *this;
  }

  /// Each returns whether the value is as it should be.
  bool object(const Json &value, const ObjectSpec &spec);
  bool choice(const Json &value, const UnionSpec &spec);
  bool keys(const Json &value, std::string_view name, std::string_view noun,
            const std::vector<const std::vector<KeySpec> *> &sets, std::string_view tag = {},
            bool open = false);
  bool value(const Json &value, const KeySpec &key, std::string_view owner);
  /// The proof of the latest error.
  std::optional<Reported> failure() const { return failure_; }

private:
  bool nested(const Json &value, const KeySpec &key, std::string_view owner);
  bool unknownWord(const Json &tag, const UnionSpec &spec);
  template <class... Args> bool fail(Location loc, fmt::format_string<Args...> format, Args &&...args) {
    failure_ = diag_.error(std::move(loc), format, std::forward<Args>(args)...);
    if (!note_.empty())
      diag_.note(noteLoc_, "{}", note_);
    return false;
  }
  bool map(const Json &value, const KeySpec &key, std::string_view owner);

  const JsonDocument &document_;
  Diagnostics &diag_;
  std::optional<Reported> failure_;
  std::string note_;
  Location noteLoc_;
};

/// Whether the value has that form; nested objects are not looked into.
bool matches(const Json &value, Form form, const KeySpec &key);
/// "an integer of at least 1 or [h, w]"
std::string expectation(const KeySpec &key);
/// [A-Za-z_][A-Za-z0-9_.-]*
bool isName(std::string_view text);
/// Keys that every object takes and that mean nothing: $schema, description.
bool isFreeKey(std::string_view key);

} // namespace gradc
