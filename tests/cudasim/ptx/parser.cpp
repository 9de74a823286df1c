#include "ptx/parser.h"
#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>

namespace cudasim::ptx {

std::expected<Module, ParseError> parse(std::string_view text) { return Parser(text).run(); }

std::expected<Module, ParseError> Parser::run() {
  Module module;
  while (!failed() && !peek().empty())
    directive(module);
  if (!failed() && module.target == 0)
    fail("no .target: this is no PTX module");
  if (failed())
    return std::unexpected(*error);
  return module;
}

std::string_view Parser::peek(size_t ahead) const {
  if (failed() || at + ahead >= tokens.size())
    return {};
  return tokens[at + ahead].text;
}

std::string_view Parser::next() {
  std::string_view text = peek();
  if (!failed() && text.empty())
    fail("the text ends too early");
  if (at + 1 < tokens.size())
    ++at;
  return text;
}

bool Parser::accept(std::string_view text) {
  if (text.empty() || peek() != text)
    return false;
  next();
  return true;
}

void Parser::expect(std::string_view text) {
  if (!accept(text) && !failed())
    fail(fmt::format("expected '{}', but got '{}'", text, peek()));
}

void Parser::fail(std::string text) {
  if (!error)
    error = ParseError{line(), std::move(text)};
}

uint64_t Parser::integer() {
  bool negative = accept("-");
  Operand value = literal(next(), negative);
  if (value.kind != Operand::Kind::Integer)
    fail("expected an integer");
  return value.bits;
}

// 12, 0x1F, 012, 0b11, 5U, 0f3F800000, 0d3FF0000000000000, 1.5
Operand Parser::literal(std::string_view text, bool negative) {
  Operand result{.kind = Operand::Kind::Integer};
  auto parseBits = [&](std::string_view digits, int base) {
    auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), result.bits, base);
    if (code != std::errc() || end != digits.data() + digits.size())
      fail(fmt::format("'{}' is no number", text));
  };
  bool isFloatBits = text.size() == 10 && (text.starts_with("0f") || text.starts_with("0F"));
  bool isDoubleBits = text.size() == 18 && (text.starts_with("0d") || text.starts_with("0D"));
  if (isFloatBits || isDoubleBits) {
    result.kind = isFloatBits ? Operand::Kind::Float : Operand::Kind::Double;
    parseBits(text.substr(2), 16);
    result.bits ^= negative ? (isFloatBits ? 1ULL << 31 : 1ULL << 63) : 0;
    return result;
  }
  if (text.find('.') != std::string_view::npos) {
    result.kind = Operand::Kind::Double;
    double value = std::strtod(std::string(text).c_str(), nullptr);
    result.bits = std::bit_cast<uint64_t>(negative ? -value : value);
    return result;
  }
  std::string_view digits = text.ends_with('U') ? text.substr(0, text.size() - 1) : text;
  if (digits.starts_with("0x") || digits.starts_with("0X"))
    parseBits(digits.substr(2), 16);
  else if (digits.starts_with("0b"))
    parseBits(digits.substr(2), 2);
  else
    parseBits(digits, digits.size() > 1 && digits.front() == '0' ? 8 : 10);
  if (negative)
    result.bits = -result.bits;
  return result;
}

void Parser::directive(Module &module) {
  bool isExtern = false;
  while (peek() == ".visible" || peek() == ".weak" || peek() == ".common" || peek() == ".extern")
    isExtern |= next() == ".extern";
  std::string_view word = next();
  if (word == ".version")
    version(module);
  else if (word == ".target")
    target(module);
  else if (word == ".address_size") {
    if (integer() != 64)
      fail("only 64-bit addresses are supported");
  } else if (word == ".global")
    variable(module.variables, Space::Global, isExtern);
  else if (word == ".const")
    variable(module.variables, Space::Const, isExtern);
  else if (word == ".shared")
    variable(module.variables, Space::Shared, isExtern);
  else if (word == ".entry")
    kernel(module);
  else
    fail(fmt::format("unsupported directive '{}'", word));
}

void Parser::version(Module &module) {
  std::string text(next());
  char *rest = nullptr;
  module.versionMajor = static_cast<int>(std::strtol(text.c_str(), &rest, 10));
  module.versionMinor = *rest == '.' ? static_cast<int>(std::strtol(rest + 1, nullptr, 10)) : 0;
}

void Parser::target(Module &module) {
  std::string text(next());
  if (!text.starts_with("sm_"))
    return fail(fmt::format("expected a target such as sm_80, but got '{}'", text));
  module.target = static_cast<int>(std::strtol(text.c_str() + 3, nullptr, 10));
  if (text.ends_with('a') || text.ends_with('f'))
    fail(fmt::format("the architecture-specific target '{}' is not supported", text));
  while (accept(","))
    next(); // debug, texmode_independent
}

// After the space: [.align N] [.v2|.v4] type name[extent]… [= values] {, name…} ;
void Parser::variable(std::vector<Variable> &variables, Space space, bool isExtern) {
  int64_t align = 0, vector = 1;
  Type type = Type::None;
  while (peek().starts_with('.')) {
    std::string_view word = next();
    if (word == ".align")
      align = static_cast<int64_t>(integer());
    else if (word == ".v2" || word == ".v4")
      vector = word == ".v2" ? 2 : 4;
    else if (type = typeNamed(word.substr(1)); type == Type::None)
      fail(fmt::format("unsupported '{}' in a variable", word));
  }
  if (type == Type::None)
    fail("a variable has no type");
  do {
    Variable variable{.name = std::string(next()), .space = space, .line = line()};
    variable.align = align ? align : bytesOf(type) * vector;
    extent(variable, bytesOf(type) * vector);
    if (accept("="))
      initialiser(variable, type);
    if (isExtern && !variable.open)
      fail(fmt::format("extern variable '{}' needs another module", variable.name));
    variables.push_back(std::move(variable));
  } while (accept(","));
  expect(";");
}

void Parser::extent(Variable &variable, int64_t element) {
  int64_t count = 1;
  while (accept("[")) {
    if (accept("]")) {
      variable.open = true;
      continue;
    }
    count *= static_cast<int64_t>(integer());
    expect("]");
  }
  variable.bytes = variable.open ? 0 : count * element;
}

void Parser::initialiser(Variable &variable, Type type) {
  int depth = 0;
  do {
    if (accept("{")) {
      ++depth;
    } else if (accept("}")) {
      --depth;
    } else if (!accept(",")) {
      bool negative = accept("-");
      std::string_view text = next();
      if (text.empty() || !std::isdigit(static_cast<unsigned char>(text.front())))
        return fail(fmt::format("unsupported value '{}' of variable '{}'", text, variable.name));
      Operand value = literal(text, negative);
      const auto *bytes = reinterpret_cast<const unsigned char *>(&value.bits);
      variable.contents.insert(variable.contents.end(), bytes, bytes + bytesOf(type));
    }
  } while (!failed() && (depth > 0 || peek() == ","));
  if (static_cast<int64_t>(variable.contents.size()) > variable.bytes)
    fail(fmt::format("variable '{}' has more values than elements", variable.name));
}

} // namespace cudasim::ptx
