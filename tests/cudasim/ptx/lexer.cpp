#include "ptx/lexer.h"
#include <algorithm>
#include <cctype>

namespace cudasim::ptx {
namespace {

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' || c == '.';
}

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text.substr(0, text.find('\0'))) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    for (skipBlank(); at < text.size(); skipBlank()) {
      size_t begin = at;
      int startLine = line;
      if (isWord(text[at]))
        skipWord();
      else if (text[at] == '"')
        skipString();
      else
        ++at;
      tokens.push_back({text.substr(begin, at - begin), startLine});
    }
    tokens.push_back({{}, line});
    return tokens;
  }

private:
  void skipBlank() {
    while (at < text.size()) {
      if (std::isspace(static_cast<unsigned char>(text[at])))
        line += text[at++] == '\n';
      else if (text.substr(at, 2) == "//")
        at = std::min(text.find('\n', at), text.size());
      else if (text.substr(at, 2) == "/*")
        skipTo(text.find("*/", at + 2), 2);
      else
        return;
    }
  }

  void skipTo(size_t end, size_t length) {
    end = end == std::string_view::npos ? text.size() : end + length;
    line += static_cast<int>(std::count(text.begin() + at, text.begin() + end, '\n'));
    at = end;
  }

  void skipString() { skipTo(text.find('"', at + 1), 1); }

  // "shared::cta" is one word, the colon of a label is none.
  void skipWord() {
    while (at < text.size() && (isWord(text[at]) || text.substr(at, 2) == "::"))
      at += text[at] == ':' ? 2 : 1;
  }

  std::string_view text;
  size_t at = 0;
  int line = 1;
};

} // namespace

std::vector<Token> tokenize(std::string_view text) { return Lexer(text).run(); }

} // namespace cudasim::ptx
