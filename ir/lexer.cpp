#include "ir/lexer.h"

#include "ir/spelling.h"

namespace gradc {
namespace {

bool isHexDigit(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

class Lexer {
public:
  Lexer(std::string_view text, const std::string &file, uint32_t firstLine, Diagnostics &diag)
      : text_(text), file_(file), line_(firstLine), diag_(diag), errorLimit_(diag.errorCount() + kMaxErrors) {
  }

  std::vector<Token> run() {
    std::vector<Token> tokens;
    do
      tokens.push_back(next());
    while (tokens.back().kind != TokenKind::End && diag_.errorCount() < errorLimit_);
    tokens.back().kind = TokenKind::End;
    return tokens;
  }

private:
  char at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  char here() const { return at(pos_); }

  void skipSpace() {
    for (; pos_ < text_.size(); ++pos_) {
      char c = here();
      if (c == '/' && at(pos_ + 1) == '/')
        pos_ = std::min(text_.find('\n', pos_), text_.size());
      if (here() == '\n')
        ++line_, lineStart_ = pos_ + 1, startsLine_ = true;
      else if (c != ' ' && c != '\t' && c != '\r')
        return;
    }
    pos_ = text_.size();
  }

  Token next() {
    skipSpace();
    start_ = pos_;
    char c = here();
    if (pos_ >= text_.size())
      return token(TokenKind::End);
    if (isLetter(c))
      return takeName();
    if (c == '%' || c == '@')
      return takeMarked(c == '%' ? TokenKind::Value : TokenKind::Symbol);
    if (c == '"')
      return takeString() ? token(TokenKind::String) : token(TokenKind::Bad);
    if (isDigit(c) || (c == '-' && (isDigit(at(pos_ + 1)) || at(pos_ + 1) == 'i')))
      return takeNumber();
    ++pos_;
    if (c == '-' && here() == '>')
      return ++pos_, token(TokenKind::Arrow);
    if (std::string_view("(){}[]<>,:=^").find(c) != std::string_view::npos)
      return token(TokenKind::Punct);
    return bad(start_, "unexpected character {}", describe(c));
  }

  Token token(TokenKind kind) {
    Token token{text_.substr(start_, pos_ - start_), line_, static_cast<uint32_t>(start_ - lineStart_ + 1),
                kind, startsLine_};
    startsLine_ = false;
    return token;
  }

  template <class... Args> Token bad(size_t place, fmt::format_string<Args...> format, Args &&...args) {
    report(place, fmt::format(format, std::forward<Args>(args)...));
    return token(TokenKind::Bad);
  }

  void report(size_t place, const std::string &message) {
    (void)diag_.error({file_, line_, static_cast<uint32_t>(place - lineStart_ + 1)}, "{}", message);
  }

  static std::string describe(char c) {
    if (c > 0x20 && c < 0x7f)
      return fmt::format("'{}'", c);
    return fmt::format("with code 0x{:02x}", static_cast<unsigned char>(c));
  }

  Token takeName() {
    while (isLetter(here()) || isDigit(here()) || here() == '.')
      ++pos_;
    return token(TokenKind::Name);
  }

  Token takeMarked(TokenKind kind) {
    char mark = text_[pos_++];
    if (here() == '"') {
      bool good = takeString();
      if (good && pos_ - start_ == 3)
        return bad(start_, "a name is empty");
      return token(good ? kind : TokenKind::Bad);
    }
    size_t word = pos_;
    while (isLetter(here()) || isDigit(here()) || here() == '.' || here() == '~')
      ++pos_;
    if (pos_ == word || !isBareWord(text_.substr(word, pos_ - word)))
      return bad(start_, "expected a name after '{}', but got '{}'", mark, text_.substr(word, pos_ - word));
    return token(kind);
  }

  /// Leaves the position behind the closing quote. A string ends on its line, so that one missing quote does
  /// not swallow the file.
  bool takeString() {
    size_t quote = pos_++;
    bool good = true;
    for (; here() != '"'; ++pos_) {
      if (pos_ >= text_.size() || here() == '\n') {
        report(quote, "a string is not closed on its line");
        return false;
      }
      if (here() == '\\')
        good = takeEscape() && good;
      else if (static_cast<unsigned char>(here()) < 0x20) {
        report(pos_,
               fmt::format("a character {} in a string must be written as an escape", describe(here())));
        good = false;
      }
    }
    ++pos_;
    return good;
  }

  /// Leaves the position on the last character of the escape.
  bool takeEscape() {
    size_t backslash = pos_;
    char c = at(pos_ + 1);
    if (c == '"' || c == '\\' || c == 'n' || c == 't')
      return ++pos_, true;
    if (c == 'x' && isHexDigit(at(pos_ + 2)) && isHexDigit(at(pos_ + 3)))
      return pos_ += 3, true;
    report(backslash, R"(unknown escape in a string; known are \" \\ \n \t \xHH)");
    return false;
  }

  void takeDigits() {
    while (isDigit(here()))
      ++pos_;
  }

  Token takeNumber() {
    if (here() == '-')
      ++pos_;
    if (text_.substr(pos_, 3) == "inf") {
      pos_ += 3;
      return endOfNumber(TokenKind::Float, true);
    }
    if (here() == '0' && at(pos_ + 1) == 'x' && text_[start_] != '-') {
      pos_ += 2;
      size_t digits = pos_;
      while (isHexDigit(here()))
        ++pos_;
      return endOfNumber(TokenKind::Int, pos_ > digits);
    }
    takeDigits();
    TokenKind kind = TokenKind::Int;
    bool good = text_[pos_ - 1] != '-';
    if (here() == '.') {
      ++pos_, kind = TokenKind::Float;
      good = good && isDigit(here());
      takeDigits();
    }
    if (here() == 'e' || here() == 'E') {
      ++pos_, kind = TokenKind::Float;
      if (here() == '+' || here() == '-')
        ++pos_;
      good = good && isDigit(here());
      takeDigits();
    }
    return endOfNumber(kind, good);
  }

  Token endOfNumber(TokenKind kind, bool good) {
    size_t end = pos_;
    while (isLetter(here()) || isDigit(here()) || here() == '.')
      ++pos_;
    if (good && pos_ == end)
      return token(kind);
    return bad(start_, "malformed number '{}'", text_.substr(start_, pos_ - start_));
  }

  std::string_view text_;
  const std::string &file_;
  uint32_t line_;
  Diagnostics &diag_;
  size_t errorLimit_;
  size_t pos_ = 0, start_ = 0, lineStart_ = 0;
  bool startsLine_ = true;
};

int hexValue(char c) { return isDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\') {
      c = text[++i];
      if (c == 'n')
        c = '\n';
      else if (c == 't')
        c = '\t';
      else if (c == 'x') {
        c = static_cast<char>(hexValue(text[i + 1]) * 16 + hexValue(text[i + 2]));
        i += 2;
      }
    }
    out += c;
  }
  return out;
}

} // namespace

std::vector<Token> lex(std::string_view text, const std::string &file, uint32_t firstLine,
                       Diagnostics &diag) {
  return Lexer(text, file, firstLine, diag).run();
}

std::string contentOf(const Token &string) { return unescape(string.text.substr(1, string.text.size() - 2)); }

std::string nameOf(const Token &token) {
  std::string_view rest = token.text.substr(1);
  return rest.starts_with('"') ? unescape(rest.substr(1, rest.size() - 2)) : std::string(rest);
}

} // namespace gradc
