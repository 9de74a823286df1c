#include "ir/spelling.h"

#include <algorithm>

#include <fmt/format.h>

namespace gradc {

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool isBareName(std::string_view text) {
  return !text.empty() && isLetter(text[0]) &&
         std::ranges::all_of(text, [](char c) { return isLetter(c) || isDigit(c) || c == '.'; });
}

bool isBareWord(std::string_view text) {
  return !text.empty() && (isLetter(text[0]) || isDigit(text[0])) &&
         std::ranges::all_of(text, [](char c) { return isLetter(c) || isDigit(c) || c == '.' || c == '~'; });
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string valueText(std::string_view name) {
  return isBareWord(name) ? fmt::format("%{}", name) : "%" + quoted(name);
}

std::string symbolText(std::string_view name) {
  return isBareWord(name) ? fmt::format("@{}", name) : "@" + quoted(name);
}

} // namespace gradc
