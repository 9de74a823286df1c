// A writer of CUDA C++ for people: indented blocks, names that are unique and look like the model's.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "ir/type.h"

namespace gradc {

class CudaText {
public:
  /// One line, indented.
  void line(std::string_view text);
  template <class... Args> void line(fmt::format_string<Args...> format, Args &&...args) {
    line(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
  }
  /// `head {`, up to the close() that belongs to it.
  void open(std::string_view head);
  template <class... Args> void open(fmt::format_string<Args...> format, Args &&...args) {
    open(std::string_view(fmt::format(format, std::forward<Args>(args)...)));
  }
  void close(std::string_view tail = "");

  /// An identifier like `base`, which no other of this text is: what is no letter or digit becomes '_'.
  std::string name(std::string_view base);
  /// `const type base = value;`; gives the name.
  std::string define(std::string_view type, std::string_view base, std::string_view value);

  /// All of it, without definitions that nothing uses.
  std::string text() const;

private:
  struct Line {
    std::string text;
    std::string defines; // what define() made; empty: the line stays
  };
  std::vector<Line> lines_;
  std::set<std::string, std::less<>> names_, defined_;
  int depth_ = 1;
};

/// The type of one element in a register (bool: bool) and in memory (bool: unsigned char); bf16 and f16 are their bits.
std::string_view cudaType(DType dtype);
std::string_view cudaMemoryType(DType dtype);
/// A literal of a type, rounded to it; the same bits after parsing.
std::string cudaLiteral(DType dtype, double value);
std::string cudaLiteral(int64_t value);
/// Whether an expression is a literal that is no NaN.
bool isCudaNumber(std::string_view expression);
/// In parentheses where it is no name, literal or call.
std::string cudaOperand(std::string_view expression);

} // namespace gradc
