// Splits the text form of the IR into tokens. Errors of spelling (an unterminated string, a malformed number)
// are reported here; such a token has kind Bad and the parser stays silent about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/diagnostics.h"

namespace gradc {

enum class TokenKind : uint8_t {
  End,
  Bad,
  Name,   // conv2d, f32, init: without marks
  Value,  // %x, %"a b"
  Symbol, // @x, @"a b"
  String,
  Int,   // 12, -1, 0xff
  Float, // 1.5, -1e+20, -inf
  Arrow, // ->
  Punct, // one of ( ) { } [ ] < > , : = ^
};

struct Token {
  std::string_view text; // as written, with marks and quotes
  uint32_t line = 0, column = 0;
  TokenKind kind = TokenKind::End;
  bool startsLine = false; // the first of its line

  bool is(char punct) const { return kind == TokenKind::Punct && text[0] == punct; }
  bool isName(std::string_view name) const { return kind == TokenKind::Name && text == name; }
};

/// Reading stops after this many errors: what follows is rarely of use.
inline constexpr size_t kMaxErrors = 100;

/// All tokens; the last is End. Text after "//" is skipped.
std::vector<Token> lex(std::string_view text, const std::string &file, uint32_t firstLine, Diagnostics &diag);

/// The name behind % or @, or the content of a string literal: unquoted and unescaped.
std::string nameOf(const Token &token);
std::string contentOf(const Token &string);

} // namespace gradc
