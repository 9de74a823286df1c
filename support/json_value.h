// JSON that programs write and read: headers of weights files, logs, checkpoints. A few kilobytes of code, which every
// stand-alone executable carries: nlohmann's were 91 KB there, RapidJSON's (which takes half a surrogate pair) 9 KB more
// than these, and 400 KB is the limit. The model reader has its own, which knows where everything stands
// (frontend/json.h).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gradc {

struct JsonValue {
  enum class Kind : uint8_t { Null, Bool, Number, String, Array, Object };

  Kind kind = Kind::Null;
  bool boolean = false;
  std::string text;               // String: the value. Number: as it is written
  std::vector<JsonValue> items;   // Array: the elements. Object: the values
  std::vector<std::string> names; // Object: one per item, each once

  bool is(Kind k) const { return kind == k; }
  bool isString(std::string_view value) const { return is(Kind::String) && text == value; }
  /// The value of a number that is written as an integer and fits; nothing for all else.
  std::optional<int64_t> integer() const;
  std::optional<uint64_t> natural() const;
  /// The value of a number; NaN for all else.
  double number() const;
  /// The member of an object; null where there is none.
  const JsonValue *find(std::string_view name) const;
};

/// Reads one value. Refuses what is no JSON, names that an object has twice, and lists and objects that are nested more
/// than `depth` deep; says why.
std::expected<JsonValue, std::string> parseJsonValue(std::string_view text, int depth = 64);

/// "text" in quotes. Bytes that are no UTF-8 become U+FFFD.
std::string jsonString(std::string_view text);
/// The shortest text that reads back to the same value; null for what JSON has no text for.
std::string jsonNumber(double value);
/// [a,b] of texts that are JSON.
std::string jsonArray(const std::vector<std::string> &items);

/// A bool, number, string, or list of those as JSON.
template <class T> std::string jsonText(const T &value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return jsonNumber(value);
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return jsonString(value);
  } else {
    std::vector<std::string> items;
    for (const auto &item : value)
      items.push_back(jsonText(item));
    return jsonArray(items);
  }
}

/// The text of an object, member by member in this order.
class JsonObject {
public:
  template <class T> JsonObject &add(std::string_view name, const T &value) {
    return addText(name, jsonText(value));
  }
  /// `json` is the text of any value.
  JsonObject &addText(std::string_view name, std::string_view json);
  std::string text() const { return "{" + members_ + "}"; }
  /// With each member on a line of its own.
  std::string lines() const;

private:
  std::string members_;
  std::vector<size_t> starts_; // of members
};

} // namespace gradc
