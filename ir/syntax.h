// The parts of the text form that stand below functions: tokens in sequence, types, locations, and attributes
// as written. An attribute's kind is known only from its op's row, and the type of a dense literal only from
// the result type behind it, so attributes are first read into a small syntax tree.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/attribute.h"
#include "ir/lexer.h"
#include "ir/op.h"

namespace gradc {

struct AttrSyntax {
  enum class Kind : uint8_t { Unit, Name, Number, String, Symbol, Type, List, Dict, Splat, Hex };
  Kind kind = Kind::Unit;
  Token token;                      // its first; for Hex the string
  std::vector<AttrSyntax> children; // elements of a list, values of a dictionary, the splat
  std::vector<Token> keys;          // of a dictionary
  std::shared_ptr<const Type> type;
};

/// Reads tokens one after the other. Functions that fail have reported why and return nothing or false.
class Syntax {
public:
  /// `errorsBefore`: how many errors `diag` held before the text was lexed.
  Syntax(std::vector<Token> tokens, std::string file, Diagnostics &diag, size_t errorsBefore);

  const Token &peek(size_t ahead = 0) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }
  Token take();
  bool accept(char punct);
  bool acceptName(std::string_view name);
  bool expect(char punct, std::string_view where);
  std::optional<Token> expectKind(TokenKind kind, std::string_view what);

  Location place(const Token &token) const { return {file_, token.line, token.column, {}}; }
  template <class... Args>
  std::nullopt_t error(const Token &at, fmt::format_string<Args...> format, Args &&...args) {
    if (at.kind != TokenKind::Bad) // the lexer has said what is wrong with it
      (void)diag_.error(place(at), format, std::forward<Args>(args)...);
    return std::nullopt;
  }
  /// "expected <what>, but got <the next token>"
  std::nullopt_t unexpected(std::string_view what);
  size_t errorCount() const { return diag_.errorCount() - errorsBefore_; }
  bool tooManyErrors() const { return errorCount() >= kMaxErrors; }

  std::optional<Type> type();
  std::optional<AttrSyntax> dict(); // the next token is '{'
  std::optional<AttrSyntax> literal() { return attrSyntax(0); }
  /// The place of `loc(…)` if one stands here, else `otherwise`.
  std::optional<Location> locOr(const Token &otherwise);

  /// The depth of braces around the next token, for recovery.
  int braces() const { return braces_; }
  void forgetBraces() { braces_ = 0; }
  /// Skips to the next token inside `depth` braces that starts a line and for which `starts` holds, to the
  /// brace that closes them, or to a function, which shows that a brace is missing.
  template <class Starts> void recover(int depth, Starts &&starts) {
    while (peek().kind != TokenKind::End) {
      bool here = peek().startsLine && (peek().isName("func") || (braces_ <= depth && starts(peek())));
      if (here || (braces_ <= depth && peek().is('}')))
        return;
      take();
    }
  }

  /// The meaning of a literal where no row says its kind.
  std::optional<Attr> attr(const AttrSyntax &syntax);
  std::optional<Dict> attrs(const AttrSyntax &dict);
  /// The attributes of an op: kinds, ranges and defaults of the row, dense literals of type `denseType`
  /// (absent where the op's result type is not written).
  std::optional<Dict> opAttrs(const OpDef &def, const AttrSyntax &dict, const Token &op,
                              const Type *denseType);
  std::optional<Tensor> dense(const AttrSyntax &syntax, const Type &type);

private:
  std::optional<AttrSyntax> attrSyntax(int depth);
  std::optional<AttrSyntax> listSyntax(int depth);
  std::optional<AttrSyntax> dictSyntax(int depth);
  std::optional<AttrSyntax> callSyntax(AttrSyntax::Kind kind, int depth);
  std::optional<Shape> shape();
  std::optional<Location> loc(int depth);
  std::optional<uint32_t> lineNumber();

  std::optional<int64_t> integer(const Token &token);
  std::optional<Attr> number(const Token &token);
  std::optional<Attr> attrOfKind(const AttrSpec &spec, const AttrSyntax &syntax, const Type *denseType);
  bool elements(const AttrSyntax &list, int axis, int64_t &next, Tensor &into);
  bool element(const AttrSyntax &syntax, int64_t index, Tensor &into);
  bool hexBytes(const Token &string, Tensor &into);

  std::vector<Token> tokens_;
  std::string file_;
  Diagnostics &diag_;
  size_t errorsBefore_;
  size_t next_ = 0;
  int braces_ = 0;
};

} // namespace gradc
