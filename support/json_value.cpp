#include "support/json_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace gradc {
namespace {

bool isSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

/// Bytes of the UTF-8 character at the start of a text; 0: it is none.
size_t characterBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80)
    return 1;
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4)
    return 0;
  for (size_t i = 1; i < bytes; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || outside ? 0 : bytes;
}

void appendCharacter(std::string &text, uint32_t code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | code >> 6), tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | code >> 12), tail(6), tail(0);
  } else {
    text += static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0);
  }
}

/// Recursive descent. Every function leaves `why_` empty or says what is wrong.
class Parser {
public:
  Parser(std::string_view text, int depth) : text_(text), depth_(depth) {}

  std::expected<JsonValue, std::string> parse() {
    JsonValue value;
    readValue(value);
    if (good() && next() != '\0')
      expected("the end");
    if (good() && at_ < text_.size())
      expected("the end");
    if (!good())
      return std::unexpected(why_);
    return value;
  }

private:
  bool good() const { return why_.empty(); }
  void fail(std::string why) {
    if (good())
      why_ = std::move(why);
  }
  void expected(std::string_view what) { fail(fmt::format("expected {} at byte {}", what, at_)); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  /// The first character of the next token; 0 at the end.
  char next() {
    while (isSpace(peek()))
      ++at_;
    return peek();
  }
  bool take(char c) {
    if (next() != c)
      return false;
    ++at_;
    return true;
  }
  bool takeWord(std::string_view word) {
    if (!text_.substr(at_).starts_with(word))
      return false;
    at_ += word.size();
    return true;
  }
  void readValue(JsonValue &value);
  void readNumber(JsonValue &value);
  size_t readDigits();
  void readString(std::string &text);
  void readEscape(std::string &text);
  uint32_t readHex();
  void readMembers(JsonValue &value, char end);
  void refuseTwice(const JsonValue &value);

  std::string_view text_;
  int depth_; // lists and objects that may still be opened
  size_t at_ = 0;
  std::string why_;
};

void Parser::readValue(JsonValue &value) {
  using Kind = JsonValue::Kind;
  const char c = next();
  if (c == '{' || c == '[') {
    value.kind = c == '{' ? Kind::Object : Kind::Array;
    readMembers(value, c == '{' ? '}' : ']');
  } else if (c == '"') {
    value.kind = Kind::String;
    readString(value.text);
  } else if (c == '-' || isDigit(c)) {
    value.kind = Kind::Number;
    readNumber(value);
  } else if (takeWord("true") || takeWord("false")) {
    value.kind = Kind::Bool;
    value.boolean = c == 't';
  } else if (!takeWord("null")) {
    expected("a value");
  }
}

size_t Parser::readDigits() {
  const size_t begin = at_;
  while (isDigit(peek()))
    ++at_;
  if (at_ == begin)
    expected("a digit");
  return at_ - begin;
}

void Parser::readNumber(JsonValue &value) {
  const size_t begin = at_;
  at_ += peek() == '-' ? 1 : 0;
  const bool zero = peek() == '0';
  if (readDigits() > 1 && zero)
    fail("a number begins with 0");
  if (peek() == '.') {
    ++at_;
    readDigits();
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    at_ += peek() == '+' || peek() == '-' ? 1 : 0;
    readDigits();
  }
  value.text = text_.substr(begin, at_ - begin);
}

void Parser::readString(std::string &text) {
  if (!take('"'))
    return expected("\"");
  while (good() && peek() != '"') {
    const size_t bytes = characterBytes(text_.substr(at_));
    if (static_cast<unsigned char>(peek()) < ' ' || bytes == 0)
      return expected("a character"); // the end of the text, too
    if (peek() == '\\') {
      readEscape(text);
    } else {
      text += text_.substr(at_, bytes);
      at_ += bytes;
    }
  }
  ++at_;
}

uint32_t Parser::readHex() {
  uint32_t code = 0;
  const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  if (error != std::errc() || stop != digits.data() + 4)
    expected("four hexadecimal digits");
  at_ += 4;
  return code;
}

void Parser::readEscape(std::string &text) {
  constexpr std::string_view kLetters = "\"\\/bfnrtu", kMeanings = "\"\\/\b\f\n\r\t";
  ++at_;
  const size_t letter = kLetters.find(peek());
  if (at_ >= text_.size() || letter == std::string_view::npos)
    return expected("an escape");
  ++at_;
  if (letter < kMeanings.size()) {
    text += kMeanings[letter];
    return;
  }
  uint32_t code = readHex();
  const bool high = code >= 0xd800 && code < 0xdc00;
  if (good() && high && takeWord("\\u")) {
    const uint32_t low = readHex();
    code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xd800;
  }
  if (code >= 0xd800 && code < 0xe000)
    return expected("the other half of a character");
  appendCharacter(text, code);
}

void Parser::readMembers(JsonValue &value, char end) {
  if (--depth_ < 0)
    return fail("it is nested too deeply");
  ++at_;
  for (bool first = true; good() && !take(end); first = false) {
    if (!first && !take(','))
      return expected("a comma");
    if (end == '}') {
      next();
      readString(value.names.emplace_back());
      if (good() && !take(':'))
        return expected("a colon");
    }
    if (good())
      readValue(value.items.emplace_back());
  }
  ++depth_;
  refuseTwice(value);
}

void Parser::refuseTwice(const JsonValue &value) {
  std::vector<std::string_view> sorted(value.names.begin(), value.names.end());
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
    fail(fmt::format("'{}' stands twice", *twice));
}

template <class T> std::optional<T> wholeNumber(const JsonValue &json) {
  T value = 0;
  const char *end = json.text.data() + json.text.size();
  if (!json.is(JsonValue::Kind::Number))
    return std::nullopt;
  const auto [stop, error] = std::from_chars(json.text.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

} // namespace

std::optional<int64_t> JsonValue::integer() const { return wholeNumber<int64_t>(*this); }
std::optional<uint64_t> JsonValue::natural() const { return wholeNumber<uint64_t>(*this); }

double JsonValue::number() const {
  double value = 0;
  if (!is(Kind::Number))
    return std::nan("");
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

const JsonValue *JsonValue::find(std::string_view name) const {
  const auto at = std::ranges::find(names, name);
  return at == names.end() ? nullptr : &items[static_cast<size_t>(at - names.begin())];
}

std::expected<JsonValue, std::string> parseJsonValue(std::string_view text, int depth) {
  return Parser(text, depth).parse();
}

std::string jsonString(std::string_view text) {
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
  std::string json = "\"";
  while (!text.empty()) {
    const size_t bytes = characterBytes(text), letter = kShort.find(text[0]);
    if (letter != std::string_view::npos)
      json += {'\\', kLetters[letter]};
    else if (static_cast<unsigned char>(text[0]) < ' ')
      json += fmt::format("\\u{:04x}", static_cast<unsigned>(text[0]));
    else
      json += bytes == 0 ? "\ufffd" : text.substr(0, bytes);
    text.remove_prefix(std::max<size_t>(bytes, 1));
  }
  return json + "\"";
}

std::string jsonNumber(double value) {
  if (!std::isfinite(value))
    return "null";
  char text[32];
  const std::string_view number(text, std::to_chars(text, text + sizeof text, value).ptr);
  const bool whole = number.find_first_of(".e") == std::string_view::npos;
  return std::string(number) + (whole ? ".0" : "");
}

std::string jsonArray(const std::vector<std::string> &items) {
  std::string json = "[";
  for (const std::string &item : items)
    json += (json.size() > 1 ? "," : "") + item;
  return json + "]";
}

JsonObject &JsonObject::addText(std::string_view name, std::string_view json) {
  members_ += starts_.empty() ? "" : ",";
  starts_.push_back(members_.size());
  members_ += jsonString(name) + ":";
  members_ += json;
  return *this;
}

std::string JsonObject::lines() const {
  std::string json = members_;
  for (auto start = starts_.rbegin(); start != starts_.rend(); ++start)
    json.insert(*start, "\n  ");
  return "{" + json + "\n}";
}

} // namespace gradc
