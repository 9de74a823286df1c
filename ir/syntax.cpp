#include "ir/syntax.h"

#include <charconv>

#include "ir/layout.h"

namespace gradc {
namespace {

/// Nesting of lists, dictionaries and fused locations: deeper text is an attack on the stack.
constexpr int kMaxDepth = 64;
constexpr size_t kMaxEntries = 1000;

std::string describe(const Token &token) {
  if (token.kind == TokenKind::End)
    return "the end of the file";
  constexpr size_t kLongest = 60;
  if (token.text.size() > kLongest)
    return fmt::format("'{}...'", token.text.substr(0, kLongest));
  return fmt::format("'{}'", token.text);
}

} // namespace

Syntax::Syntax(std::vector<Token> tokens, std::string file, Diagnostics &diag, size_t errorsBefore)
    : tokens_(std::move(tokens)), file_(std::move(file)), diag_(diag), errorsBefore_(errorsBefore) {}

Token Syntax::take() {
  Token token = peek();
  if (next_ + 1 < tokens_.size())
    ++next_;
  braces_ = std::max(0, braces_ + token.is('{') - token.is('}'));
  return token;
}

bool Syntax::accept(char punct) {
  if (!peek().is(punct))
    return false;
  take();
  return true;
}

bool Syntax::acceptName(std::string_view name) {
  if (!peek().isName(name))
    return false;
  take();
  return true;
}

std::nullopt_t Syntax::unexpected(std::string_view what) {
  return error(peek(), "expected {}, but got {}", what, describe(peek()));
}

bool Syntax::expect(char punct, std::string_view where) {
  if (accept(punct))
    return true;
  unexpected(fmt::format("'{}' {}", punct, where));
  return false;
}

std::optional<Token> Syntax::expectKind(TokenKind kind, std::string_view what) {
  if (peek().kind != kind)
    return unexpected(what);
  return take();
}

std::optional<Shape> Syntax::shape() {
  Token open = peek();
  if (!expect('[', "after the element type"))
    return std::nullopt;
  std::vector<int64_t> dims;
  if (!accept(']')) {
    do {
      std::optional<Token> dim = expectKind(TokenKind::Int, "a dimension");
      std::optional<int64_t> value = dim ? integer(*dim) : std::nullopt;
      if (!value)
        return std::nullopt;
      dims.push_back(*value);
    } while (accept(','));
    if (!expect(']', "after the dimensions"))
      return std::nullopt;
  }
  if (std::optional<std::string> wrong = checkShape(dims))
    return error(open, "{}", *wrong);
  return Shape(dims);
}

std::optional<Type> Syntax::type() {
  Token start = peek();
  std::optional<DType> dtype = start.kind == TokenKind::Name ? parseDType(start.text) : std::nullopt;
  if (!dtype)
    return unexpected("a type like f32[2,3]");
  take();
  std::optional<Shape> dims = shape();
  if (!dims)
    return std::nullopt;
  Type type{*dtype, *dims, {}};
  if (accept('<')) {
    std::optional<Token> layout = expectKind(TokenKind::Name, "a layout");
    if (!layout || !expect('>', "after the layout"))
      return std::nullopt;
    type.layout = layout->text;
    if (std::optional<std::string> wrong = checkLayout(type))
      return error(*layout, "{}", *wrong);
  }
  return type;
}

std::optional<Location> Syntax::locOr(const Token &otherwise) {
  if (!peek().isName("loc"))
    return place(otherwise);
  return loc(0);
}

std::optional<uint32_t> Syntax::lineNumber() {
  std::optional<Token> token = expectKind(TokenKind::Int, "a line or column");
  std::optional<int64_t> value = token ? integer(*token) : std::nullopt;
  if (value && (*value < 0 || *value > UINT32_MAX))
    return error(*token, "{} is no line or column", token->text);
  return value ? std::optional(static_cast<uint32_t>(*value)) : std::nullopt;
}

std::optional<Location> Syntax::loc(int depth) {
  if (depth > kMaxDepth)
    return error(peek(), "locations are nested more than {} deep", kMaxDepth);
  if (!peek().isName("loc"))
    return unexpected("'loc'");
  take();
  if (!expect('(', "after 'loc'"))
    return std::nullopt;
  Location loc;
  if (acceptName("fused")) {
    if (!expect('[', "after 'fused'"))
      return std::nullopt;
    do {
      std::optional<Location> part = this->loc(depth + 1);
      if (!part)
        return std::nullopt;
      loc.fused.push_back(std::move(*part));
    } while (accept(','));
    if (!expect(']', "after the fused locations"))
      return std::nullopt;
  } else if (!acceptName("unknown")) {
    std::optional<Token> file = expectKind(TokenKind::String, "a file name, 'fused' or 'unknown'");
    if (!file)
      return std::nullopt;
    loc.file = contentOf(*file);
    if (accept(':')) {
      std::optional<uint32_t> line = lineNumber();
      if (!line || !expect(':', "between line and column"))
        return std::nullopt;
      std::optional<uint32_t> column = lineNumber();
      if (!column)
        return std::nullopt;
      loc.line = *line, loc.column = *column;
    }
  }
  if (!expect(')', "after the location"))
    return std::nullopt;
  return loc;
}

std::optional<AttrSyntax> Syntax::dict() { return dictSyntax(0); }

std::optional<AttrSyntax> Syntax::dictSyntax(int depth) {
  AttrSyntax dict{.kind = AttrSyntax::Kind::Dict, .token = peek()};
  if (!expect('{', "before the attributes"))
    return std::nullopt;
  if (accept('}'))
    return dict;
  do {
    if (peek().kind != TokenKind::Name && peek().kind != TokenKind::String)
      return unexpected("an attribute's name");
    Token key = take();
    if (dict.keys.size() == kMaxEntries) // looking up is linear
      return error(key, "a dictionary has more than {} entries", kMaxEntries);
    AttrSyntax value{.token = key};
    if (accept('=')) {
      std::optional<AttrSyntax> given = attrSyntax(depth + 1);
      if (!given)
        return std::nullopt;
      value = std::move(*given);
    }
    dict.keys.push_back(key);
    dict.children.push_back(std::move(value));
  } while (accept(','));
  if (!expect('}', "after the attributes"))
    return std::nullopt;
  return dict;
}

std::optional<AttrSyntax> Syntax::listSyntax(int depth) {
  AttrSyntax list{.kind = AttrSyntax::Kind::List, .token = take()};
  if (accept(']'))
    return list;
  do {
    std::optional<AttrSyntax> element = attrSyntax(depth + 1);
    if (!element)
      return std::nullopt;
    list.children.push_back(std::move(*element));
  } while (accept(','));
  if (!expect(']', "after the list"))
    return std::nullopt;
  return list;
}

/// splat(1.0) and hex("00ff")
std::optional<AttrSyntax> Syntax::callSyntax(AttrSyntax::Kind kind, int depth) {
  AttrSyntax call{.kind = kind, .token = take()};
  if (!expect('(', fmt::format("after '{}'", call.token.text)))
    return std::nullopt;
  if (kind == AttrSyntax::Kind::Hex) {
    std::optional<Token> digits = expectKind(TokenKind::String, "a string of hexadecimal digits");
    if (!digits)
      return std::nullopt;
    call.token = *digits;
  } else {
    std::optional<AttrSyntax> value = attrSyntax(depth + 1);
    if (!value)
      return std::nullopt;
    call.children.push_back(std::move(*value));
  }
  if (!expect(')', "after the literal"))
    return std::nullopt;
  return call;
}

std::optional<AttrSyntax> Syntax::attrSyntax(int depth) {
  using Kind = AttrSyntax::Kind;
  if (depth > kMaxDepth)
    return error(peek(), "attributes are nested more than {} deep", kMaxDepth);
  const Token &token = peek();
  if (token.is('['))
    return listSyntax(depth);
  if (token.is('{'))
    return dictSyntax(depth);
  switch (token.kind) {
  case TokenKind::Int:
  case TokenKind::Float: return AttrSyntax{.kind = Kind::Number, .token = take()};
  case TokenKind::String: return AttrSyntax{.kind = Kind::String, .token = take()};
  case TokenKind::Symbol: return AttrSyntax{.kind = Kind::Symbol, .token = take()};
  case TokenKind::Name: break;
  default: return unexpected("an attribute's value");
  }
  if (token.text == "splat" || token.text == "hex")
    return callSyntax(token.text == "hex" ? Kind::Hex : Kind::Splat, depth);
  if (token.text == "elided")
    return error(token, "this literal was left out when the file was written; it cannot be read back");
  if (parseDType(token.text) && peek(1).is('[')) {
    AttrSyntax syntax{.kind = Kind::Type, .token = token};
    std::optional<Type> type = this->type();
    if (!type)
      return std::nullopt;
    syntax.type = std::make_shared<const Type>(std::move(*type));
    return syntax;
  }
  return AttrSyntax{.kind = Kind::Name, .token = take()};
}

} // namespace gradc
