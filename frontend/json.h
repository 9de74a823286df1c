// A JSON document that knows where everything stands: line and column of every key and value.
// `//` comments are accepted; duplicate keys, deep nesting and huge files are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/diagnostics.h"
#include "support/result.h"

namespace gradc {

/// Limits that keep an untrusted file from using up stack or memory.
inline constexpr size_t kMaxJsonBytes = size_t{64} << 20;
inline constexpr size_t kMaxJsonValues = 4'000'000;
inline constexpr int kMaxJsonDepth = 64;

/// Where a key or value begins. An override's place is in the text of `--set`, one override a line.
struct JsonPlace {
  uint32_t line = 0;
  uint32_t column = 0;
  bool isOverride = false;
};

struct JsonKey {
  std::string name;
  JsonPlace place;
};

struct Json {
  enum class Kind : uint8_t { Null, Bool, Number, String, Array, Object };

  Kind kind = Kind::Null;
  bool boolean = false;
  JsonPlace place;
  double number = 0;
  std::string text;          // String: the value. Number: as it was written
  std::vector<Json> items;   // Array: the elements. Object: the values
  std::vector<JsonKey> keys; // Object: one per item

  bool is(Kind k) const { return kind == k; }
  bool isNumber() const { return kind == Kind::Number; }
  bool isString() const { return kind == Kind::String; }
  bool isArray() const { return kind == Kind::Array; }
  bool isObject() const { return kind == Kind::Object; }
  /// The value of a number that is written as an integer and fits 64 bits.
  std::optional<int64_t> integer() const;
  /// The value under a key of an object; null where there is none.
  const Json *find(std::string_view key) const;
  Json *find(std::string_view key);
  const JsonKey *findKey(std::string_view key) const;
};

/// A value in a message: 12, "text", true, null, a list of 3, an object.
std::string describe(const Json &value);

class JsonDocument {
public:
  std::string file;
  Json root;

  Location loc(JsonPlace place) const;
  Location loc(const Json &value) const { return loc(value.place); }
};

/// Parses a whole file. The text is registered with `diag` under the file's name.
Result<JsonDocument> parseJson(std::string text, std::string file, Diagnostics &diag);

/// Applies `/json/pointer=value` overrides in order; their errors are reported in file "--set". The value is
/// JSON, or else taken as a string. A step into a list is an index or the "name" of one of its objects; objects
/// on the way that do not exist are made.
Result<void> applyOverrides(JsonDocument &document, std::span<const std::string> overrides,
                            Diagnostics &diag);

} // namespace gradc
