#include "codegen/cuda/text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>

#include "ir/attribute.h"
#include "ir/tensor.h"
#include "support/check.h"

namespace gradc {
namespace {

bool isWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::vector<std::string_view> wordsOf(std::string_view line) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < line.size();) {
    size_t end = at;
    while (end < line.size() && isWord(line[end]))
      ++end;
    if (end > at)
      words.push_back(line.substr(at, end - at));
    at = std::max(end, at + 1);
  }
  return words;
}

/// What a model's name may be and a variable may not: words of the language, what the text calls, the prelude.
constexpr std::string_view kReserved = R"(
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const const_cast
constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false float for
friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected
public register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch template
this thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
xor_eq
block shared thread lane word threadIdx blockIdx blockDim gridDim warpSize INFINITY NAN NULL DEVICE Unsigned64
abs clamp copysign copysignf erf exp fabs fabsf floor floorf fma fmaf gamma j0 j1 log max min pow rint rintf sqrt sqrtf
tanh y0 y1
argmax16 argmax_take bf16_from_f32 clamp_index erf_f32 exp2_f64 exp_f32 f16_from_f32 f16_from_f64 f32_from_bf16
f32_from_f16 log2_f64 log_f32 maximum minimum philox philox_word pow_cases pow_f32 pow_f64 sign tanh_f32 to_i32 to_i64
to_i8 to_u8 tree16 wrap_add wrap_mul wrap_sub)";

bool isReserved(std::string_view word) {
  static const std::vector<std::string_view> reserved = wordsOf(kReserved);
  static const std::regex vectors("(make_)?(u?(char|short|int|long|longlong)|float|double)[1-4]");
  return std::ranges::find(reserved, word) != reserved.end() ||
         std::regex_match(word.begin(), word.end(), vectors);
}

} // namespace

void CudaText::line(std::string_view text) {
  const bool directive = text.starts_with('#');
  const std::string indent(directive ? 0 : static_cast<size_t>(2 * depth_), ' ');
  lines_.push_back({indent + std::string(text) + "\n", ""});
}

std::string CudaText::text() const {
  std::set<std::string, std::less<>> used;
  std::vector<const std::string *> kept;
  for (size_t i = lines_.size(); i-- > 0;) { // uses stand below
    const auto &[text, defines] = lines_[i];
    if (!defines.empty() && !used.contains(defines))
      continue;
    for (std::string_view word : wordsOf(text))
      if (defined_.contains(word))
        used.emplace(word);
    kept.push_back(&text);
  }
  std::string text;
  for (size_t i = kept.size(); i-- > 0;)
    text += *kept[i];
  return text;
}

void CudaText::open(std::string_view head) {
  line(std::string(head) + (head.empty() ? "{" : " {"));
  ++depth_;
}

void CudaText::close(std::string_view tail) {
  --depth_;
  line("}" + std::string(tail));
}

std::string CudaText::name(std::string_view base) {
  std::string word;
  for (size_t i = 0; i < base.size(); ++i) {
    if (base[i] == '~') // a pass's number; ours follows
      while (i + 1 < base.size() && std::isdigit(static_cast<unsigned char>(base[i + 1])) != 0)
        ++i;
    else
      word += isWord(base[i]) ? base[i] : '_';
  }
  if (word.empty() || std::isdigit(static_cast<unsigned char>(word[0])) || word.starts_with("__"))
    word = "v" + word;
  std::string unique = word;
  for (int i = 1; isReserved(unique) || !names_.insert(unique).second; ++i)
    unique = word + (std::isdigit(static_cast<unsigned char>(word.back())) ? "_" : "") + std::to_string(i);
  return unique;
}

std::string CudaText::define(std::string_view type, std::string_view base, std::string_view value) {
  std::string unique = name(base);
  defined_.insert(unique);
  line("const {} {} = {};", type, unique, value);
  lines_.back().defines = unique;
  return unique;
}

std::string_view cudaType(DType dtype) {
  switch (dtype) {
  case DType::F32: return "float";
  case DType::F64: return "double";
  case DType::BF16:
  case DType::F16: return "unsigned short";
  case DType::I8: return "signed char";
  case DType::U8: return "unsigned char";
  case DType::I32: return "int";
  case DType::I64: return "long long";
  case DType::Bool: return "bool";
  }
  CHECK(false, "dtype {}", static_cast<int>(dtype));
}

std::string_view cudaMemoryType(DType dtype) {
  return dtype == DType::Bool ? "unsigned char" : cudaType(dtype);
}

std::string cudaLiteral(int64_t value) {
  if (value == INT64_MIN)
    return "(-9223372036854775807LL - 1)";
  const bool wide = value != static_cast<int32_t>(value) || value == INT32_MIN;
  return std::to_string(value) + (wide ? "LL" : "");
}

std::string cudaLiteral(DType dtype, double value) {
  switch (dtype) {
  case DType::Bool: return value != 0 ? "true" : "false";
  case DType::BF16: return std::to_string(bf16FromFloat(static_cast<float>(value)));
  case DType::F16: return std::to_string(f16FromFloat(static_cast<float>(value)));
  case DType::F32:
  case DType::F64: break;
  case DType::I64: return cudaLiteral(static_cast<int64_t>(value)) + (std::abs(value) < 0x1p31 ? "LL" : "");
  default: return cudaLiteral(static_cast<int64_t>(value));
  }
  const bool narrow = dtype == DType::F32;
  if (narrow)
    value = static_cast<double>(static_cast<float>(value));
  std::string text = std::isnan(value)   ? "NAN"
                     : std::isinf(value) ? (value < 0 ? "-INFINITY" : "INFINITY")
                     : narrow            ? floatText(static_cast<float>(value)) + "f"
                                         : floatText(value);
  return text;
}

bool isCudaNumber(std::string_view expression) {
  if (expression.starts_with('-'))
    expression.remove_prefix(1);
  if (expression == "INFINITY")
    return true;
  if (expression.empty() || std::isdigit(static_cast<unsigned char>(expression[0])) == 0)
    return false;
  for (size_t i = 1; i < expression.size(); ++i)
    if (!isWord(expression[i]) && expression[i] != '.' &&
        !((expression[i] == '-' || expression[i] == '+') && expression[i - 1] == 'e'))
      return false;
  return true;
}

std::string cudaOperand(std::string_view expression) {
  if (std::ranges::all_of(expression, isWord) || (isCudaNumber(expression) && !expression.starts_with('-')))
    return std::string(expression);
  // A call or an element: a name, and one pair of brackets that ends where the expression ends.
  size_t at = 0;
  while (at < expression.size() && (isWord(expression[at]) || expression[at] == '.'))
    ++at;
  if (at == expression.size())
    return std::string(expression);
  if (expression[at] == '(' || expression[at] == '[') {
    int depth = 0;
    for (size_t i = at; i < expression.size(); ++i) {
      depth += expression[i] == '(' || expression[i] == '[';
      depth -= expression[i] == ')' || expression[i] == ']';
      if (depth == 0)
        return i + 1 == expression.size() ? std::string(expression) : "(" + std::string(expression) + ")";
    }
  }
  return "(" + std::string(expression) + ")";
}

} // namespace gradc
