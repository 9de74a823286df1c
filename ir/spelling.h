// How names and strings are written in the text form: bare where the grammar allows it, else quoted.
#pragma once

#include <string>
#include <string_view>

namespace gradc {

bool isLetter(char c); // A-Z a-z _
bool isDigit(char c);

/// name = letter { letter | digit | "." }: ops, attributes, keywords.
bool isBareName(std::string_view text);
/// word = ( letter | digit ) { letter | digit | "." | "~" }: what follows % and @.
bool isBareWord(std::string_view text);

/// A string literal with its quotes and escapes.
std::string quoted(std::string_view text);
/// %conv1 or %"a/b"
std::string valueText(std::string_view name);
/// @conv1.weight or @"a/b"
std::string symbolText(std::string_view name);

} // namespace gradc
