#include "frontend/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

#include <nlohmann/json.hpp>

#include "frontend/json_text.h"
#include "support/check.h"

namespace gradc {

std::optional<int64_t> Json::integer() const {
  int64_t value = 0;
  const char *end = text.data() + text.size();
  if (!isNumber() || text.empty())
    return std::nullopt;
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end)
    return std::nullopt;
  return value;
}

const JsonKey *Json::findKey(std::string_view key) const {
  auto at = std::ranges::find(keys, key, &JsonKey::name);
  return at == keys.end() ? nullptr : &*at;
}

const Json *Json::find(std::string_view key) const {
  const JsonKey *found = findKey(key);
  return found ? &items[found - keys.data()] : nullptr;
}

Json *Json::find(std::string_view key) { return const_cast<Json *>(std::as_const(*this).find(key)); }

std::string describe(const Json &value) {
  switch (value.kind) {
  case Json::Kind::Null: return "null";
  case Json::Kind::Bool: return value.boolean ? "true" : "false";
  case Json::Kind::Number: return value.text;
  case Json::Kind::String:
    return fmt::format("\"{}\"", value.text.size() <= 60 ? value.text : value.text.substr(0, 57) + "...");
  case Json::Kind::Array:
    return value.items.empty() ? "an empty list" : fmt::format("a list of {}", value.items.size());
  case Json::Kind::Object: return "an object";
  }
  return {};
}

Location JsonDocument::loc(JsonPlace place) const {
  return {.file = place.isOverride ? "--set" : file, .line = place.line, .column = place.column};
}

namespace {

/// An iterator over the text that publishes how far the lexer has read: at each SAX event that is the end of
/// the token (one further for numbers, whose end the lexer sees only by the next character).
struct PublishingIterator {
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char *;
  using reference = const char &;
  using iterator_category = std::input_iterator_tag;

  const char *at = nullptr;
  const char **published = nullptr;

  reference operator*() const { return *at; }
  PublishingIterator &operator++() {
    *published = ++at;
    return *this;
  }
  PublishingIterator operator++(int) {
    PublishingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const PublishingIterator &other) const { return at == other.at; }
};

bool isNumberCharacter(char c) { return (c >= '0' && c <= '9') || std::strchr("+-.eE", c) != nullptr; }

/// The length of the offending token. nlohmann's text of it begins at the token where that is a string or number, but
/// some tokens earlier where it is a word or punctuation.
ptrdiff_t tokenLength(std::string_view text, std::string_view error) {
  for (std::string_view whole : {"invalid string", "invalid number", "unexpected string literal"})
    if (error.find(whole) != error.npos)
      return std::ssize(text);
  if (error.find("unexpected end of input") != error.npos)
    return 0;
  ptrdiff_t length = 0;
  while (length < std::ssize(text) && std::strchr(" \t\r\n[]{},:", text[text.size() - 1 - length]) == nullptr)
    ++length;
  return std::max<ptrdiff_t>(length, 1);
}

/// Builds the document from nlohmann's events. A token starts where space, comments, ',' and ':' after the
/// token before end.
class Handler {
public:
  Handler(JsonTextOrigin origin, std::string_view text, Diagnostics &diag)
      : origin_(std::move(origin)), begin_(text.data()), end_(text.data() + text.size()), read_(begin_),
        token_(begin_), lineStart_(begin_ - (origin_.column - 1)), line_(origin_.line), diag_(diag) {
    if (text.starts_with("\xEF\xBB\xBF"))
      token_ += 3;
  }

  Result<Json> parse() {
    bool ok = nlohmann::json::sax_parse(PublishingIterator{begin_, &read_}, PublishingIterator{end_, &read_},
                                        this, nlohmann::json::input_format_t::json, /*strict=*/true,
                                        /*ignore_comments=*/true);
    if (ok)
      (void)startToken(); // comments at the end
    if (failure_)
      return std::unexpected(*failure_);
    CHECK(ok && root_, "the JSON parser stopped without an error");
    return std::move(*root_);
  }

  bool null() { return value(begin(Json::Kind::Null)); }
  bool boolean(bool b) {
    Json json = begin(Json::Kind::Bool);
    json.boolean = b;
    return value(std::move(json));
  }
  bool number_integer(nlohmann::json::number_integer_t) { return number(); }
  bool number_unsigned(nlohmann::json::number_unsigned_t) { return number(); }
  bool number_float(nlohmann::json::number_float_t, const std::string &) { return number(); }
  bool string(std::string &text) {
    Json json = begin(Json::Kind::String);
    json.text = std::move(text);
    return value(std::move(json));
  }
  bool binary(nlohmann::json::binary_t &) { return false; }
  bool start_object(size_t) { return open(Json::Kind::Object); }
  bool start_array(size_t) { return open(Json::Kind::Array); }
  bool end_array() { return close(); }
  bool end_object() {
    refuseDuplicates(stack_.back());
    return close();
  }
  bool key(std::string &name) {
    stack_.back().keys.push_back({std::move(name), startToken()});
    token_ = read_;
    return true;
  }
  bool parse_error(size_t, const std::string &lastToken, const nlohmann::detail::exception &error);

private:
  /// Goes to the start of the next token, counting lines.
  JsonPlace startToken();
  JsonPlace placeOf(const char *at);
  Json begin(Json::Kind kind) {
    Json json;
    json.kind = kind;
    json.place = startToken();
    token_ = read_;
    return json;
  }
  bool number();
  bool open(Json::Kind kind);
  bool close() {
    Json json = std::move(stack_.back());
    stack_.pop_back();
    (void)startToken();
    token_ = read_;
    return value(std::move(json));
  }
  bool value(Json json);
  void refuseDuplicates(const Json &object);
  Location loc(JsonPlace place) const {
    return {.file = origin_.file, .line = place.line, .column = place.column};
  }
  template <class... Args> bool fail(JsonPlace place, fmt::format_string<Args...> format, Args &&...args) {
    failure_ = diag_.error(loc(place), format, std::forward<Args>(args)...);
    return false;
  }

  JsonTextOrigin origin_;
  const char *begin_, *end_;
  const char *read_;      // how far the lexer has read
  const char *token_;     // the end of the latest token
  const char *lineStart_; // may lie before the text, where that starts within a line
  uint32_t line_;
  std::vector<Json> stack_;
  std::optional<Json> root_;
  size_t count_ = 0;
  std::optional<Reported> failure_;
  Diagnostics &diag_;
};

JsonPlace Handler::placeOf(const char *at) {
  return {
      .line = line_, .column = static_cast<uint32_t>(at - lineStart_) + 1, .isOverride = origin_.isOverride};
}

JsonPlace Handler::startToken() {
  while (token_ < end_) {
    char c = *token_;
    if (c == '\n') {
      ++line_;
      lineStart_ = ++token_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == ',' || c == ':') {
      ++token_;
    } else if (c == '/' && token_ + 1 < end_ && token_[1] == '/') {
      token_ = std::find(token_, end_, '\n');
    } else if (c == '/') {
      (void)fail(placeOf(token_), "only comments from // to the end of the line are accepted");
      std::string_view rest(token_ + 2, end_);
      const char *stop = token_ + 2 + std::min(rest.find("*/"), rest.size() - 2) + 2;
      for (; token_ < stop; ++token_)
        if (*token_ == '\n') {
          ++line_;
          lineStart_ = token_ + 1;
        }
    } else {
      break;
    }
  }
  return placeOf(token_);
}

bool Handler::number() {
  Json json;
  json.kind = Json::Kind::Number;
  json.place = startToken();
  const char *stop = read_;
  while (stop > token_ && !isNumberCharacter(stop[-1]))
    --stop;
  json.text.assign(token_, stop);
  std::from_chars(token_, stop, json.number);
  token_ = stop;
  return value(std::move(json));
}

bool Handler::open(Json::Kind kind) {
  Json json = begin(kind);
  if (stack_.size() >= kMaxJsonDepth)
    return fail(json.place, "nesting is limited to {} levels", kMaxJsonDepth);
  stack_.push_back(std::move(json));
  return true;
}

bool Handler::value(Json json) {
  if (++count_ > kMaxJsonValues)
    return fail(json.place, "a file is limited to {} values", kMaxJsonValues);
  if (stack_.empty())
    root_ = std::move(json);
  else
    stack_.back().items.push_back(std::move(json));
  return true;
}

void Handler::refuseDuplicates(const Json &object) {
  std::vector<const JsonKey *> sorted;
  for (const JsonKey &key : object.keys)
    sorted.push_back(&key);
  std::ranges::stable_sort(sorted, {}, [](const JsonKey *key) -> const std::string & { return key->name; });
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i]->name != sorted[i - 1]->name)
      continue;
    (void)fail(sorted[i]->place, "key '{}' is given twice", sorted[i]->name);
    diag_.note(loc(sorted[i - 1]->place), "the first is here");
  }
}

/// nlohmann's text is "[json.exception.…] parse error at line 1, column 2: syntax error while parsing value -
/// unexpected ']'; expected …": the part after the position is kept.
bool Handler::parse_error(size_t, const std::string &lastToken, const nlohmann::detail::exception &error) {
  std::string text = error.what();
  if (size_t position = text.find("column "); position != std::string::npos)
    text.erase(0, text.find(": ", position) + 2);
  else if (size_t bracket = text.find("] "); bracket != std::string::npos)
    text.erase(0, bracket + 2);
  if (size_t lastRead = text.find("; last read"); lastRead != std::string::npos) {
    size_t after = text.find("; expected", lastRead);
    text.replace(lastRead, after == std::string::npos ? std::string::npos : after - lastRead, "");
  }
  const char *at = read_;
  if (at > begin_ && !lastToken.empty() && isNumberCharacter(lastToken.back()) && !isNumberCharacter(at[-1]))
    --at; // the character that ended the number was read too
  at -= std::min<ptrdiff_t>(at - token_, tokenLength(lastToken, text));
  while (token_ < at) // everything between is space and punctuation
    if (*token_++ == '\n') {
      ++line_;
      lineStart_ = token_;
    }
  return fail(placeOf(at), "{}", text);
}

} // namespace

Result<Json> parseJsonText(std::string_view text, JsonTextOrigin origin, Diagnostics &diag) {
  return Handler(std::move(origin), text, diag).parse();
}

Result<JsonDocument> parseJson(std::string text, std::string file, Diagnostics &diag) {
  if (text.size() > kMaxJsonBytes)
    return std::unexpected(diag.error({.file = file}, "a model file is limited to {} bytes, but got {}",
                                      kMaxJsonBytes, text.size()));
  diag.addSource(file, text);
  Result<Json> root = parseJsonText(text, {.file = file}, diag);
  if (!root)
    return std::unexpected(root.error());
  return JsonDocument{.file = std::move(file), .root = std::move(*root)};
}

} // namespace gradc
