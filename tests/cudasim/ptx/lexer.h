#pragma once
#include <string_view>
#include <vector>

namespace cudasim::ptx {

struct Token {
  std::string_view
      text; // a word with its dots ("ld.global.nc.f32", ".reg", "%tid.x", "0f3F800000"), a string or one character
  int line = 0;
};

// Comments and white space are gone; the last token is empty.
std::vector<Token> tokenize(std::string_view text);

} // namespace cudasim::ptx
