// What attributes and dense literals mean once their kind and type are known.
#include <bit>
#include <charconv>
#include <cmath>

#include "ir/spelling.h"
#include "ir/syntax.h"

namespace gradc {
namespace {

template <class T> std::optional<T> parsed(std::string_view text, int base) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Decimal text, or inf and nan. Numbers that overflow are refused, those that vanish round to zero.
template <class T> std::optional<T> parsedFloat(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size())
    return std::nullopt;
  if (error == std::errc::result_out_of_range && std::strtold(std::string(text).c_str(), nullptr) < 1 &&
      std::strtold(std::string(text).c_str(), nullptr) > -1)
    return text[0] == '-' ? T{-0.0} : T{0};
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

bool isHexLiteral(const Token &token) { return token.text.starts_with("0x"); }

int hexDigit(char c) {
  if (isDigit(c))
    return c - '0';
  if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
    return (c | 0x20) - 'a' + 10;
  return -1;
}

std::pair<int64_t, int64_t> integerRange(DType dtype) {
  switch (dtype) {
  case DType::I8: return {INT8_MIN, INT8_MAX};
  case DType::U8: return {0, UINT8_MAX};
  case DType::I32: return {INT32_MIN, INT32_MAX};
  default: return {INT64_MIN, INT64_MAX};
  }
}

void setFloat(Tensor &tensor, int64_t index, std::string_view text, bool &good) {
  if (tensor.type().dtype == DType::F32) {
    std::optional<float> value = parsedFloat<float>(text); // not by way of double, which would round twice
    good = value.has_value();
    if (good)
      tensor.as<float>()[index] = *value;
    return;
  }
  std::optional<double> value = parsedFloat<double>(text);
  good = value.has_value();
  if (good)
    tensor.set(index, *value);
}

} // namespace

std::optional<int64_t> Syntax::integer(const Token &token) {
  if (isHexLiteral(token)) {
    if (std::optional<uint64_t> bits = parsed<uint64_t>(token.text.substr(2), 16))
      return static_cast<int64_t>(*bits);
  } else if (std::optional<int64_t> value = parsed<int64_t>(token.text, 10)) {
    return value;
  }
  return error(token, "{} does not fit 64 bits", token.text);
}

std::optional<Attr> Syntax::number(const Token &token) {
  if (token.kind == TokenKind::Int) {
    std::optional<int64_t> value = integer(token);
    return value ? std::optional(Attr(*value)) : std::nullopt;
  }
  if (std::optional<double> value = parsedFloat<double>(token.text))
    return Attr(*value);
  return error(token, "{} does not fit f64", token.text);
}

std::optional<Attr> Syntax::attr(const AttrSyntax &syntax) {
  const Token &token = syntax.token;
  switch (syntax.kind) {
  case AttrSyntax::Kind::Unit: return Attr();
  case AttrSyntax::Kind::Number: return number(token);
  case AttrSyntax::Kind::String: return Attr(contentOf(token));
  case AttrSyntax::Kind::Symbol: return Attr(SymbolRef{nameOf(token)});
  case AttrSyntax::Kind::Type: return Attr(*syntax.type);
  case AttrSyntax::Kind::Dict: {
    std::optional<Dict> dict = attrs(syntax);
    return dict ? std::optional(Attr(std::move(*dict))) : std::nullopt;
  }
  case AttrSyntax::Kind::List: {
    AttrList list;
    for (const AttrSyntax &child : syntax.children) {
      std::optional<Attr> element = attr(child);
      if (!element)
        return std::nullopt;
      list.push_back(std::move(*element));
    }
    return Attr(std::move(list));
  }
  case AttrSyntax::Kind::Splat:
  case AttrSyntax::Kind::Hex:
    return error(token, "a dense literal cannot stand here, because nothing gives its type");
  case AttrSyntax::Kind::Name: break;
  }
  if (token.text == "true" || token.text == "false")
    return Attr(token.text == "true");
  if (token.text == "inf" || token.text == "nan")
    return Attr(token.text == "inf" ? std::numeric_limits<double>::infinity()
                                    : std::numeric_limits<double>::quiet_NaN());
  if (std::optional<DType> dtype = parseDType(token.text))
    return Attr(*dtype);
  return Attr(Keyword{std::string(token.text)});
}

std::optional<Dict> Syntax::attrs(const AttrSyntax &dict) {
  Dict result;
  for (size_t i = 0; i < dict.keys.size(); ++i) {
    const Token &key = dict.keys[i];
    std::string name = key.kind == TokenKind::String ? contentOf(key) : std::string(key.text);
    if (result.has(name))
      return error(key, "attribute '{}' is given twice", name);
    std::optional<Attr> value = attr(dict.children[i]);
    if (!value)
      return std::nullopt;
    result.set(name, std::move(*value));
  }
  return result;
}

std::optional<Attr> Syntax::attrOfKind(const AttrSpec &spec, const AttrSyntax &syntax,
                                       const Type *denseType) {
  if (spec.kind == AttrKind::Dense && syntax.kind != AttrSyntax::Kind::Symbol) {
    if (!denseType)
      return error(syntax.token, "a literal needs its type: write the op's result type");
    std::optional<Tensor> value = dense(syntax, *denseType);
    return value ? std::optional(Attr(std::move(*value))) : std::nullopt;
  }
  bool bits =
      spec.kind == AttrKind::F64 && syntax.kind == AttrSyntax::Kind::Number && isHexLiteral(syntax.token);
  if (bits) {
    std::optional<int64_t> value = integer(syntax.token);
    return value ? std::optional(Attr(std::bit_cast<double>(*value))) : std::nullopt;
  }
  return attr(syntax);
}

std::optional<Dict> Syntax::opAttrs(const OpDef &def, const AttrSyntax &dict, const Token &op,
                                    const Type *denseType) {
  std::vector<std::string_view> known;
  for (const AttrSpec &spec : def.attrs)
    known.push_back(spec.name);
  Dict given;
  bool good = true;
  for (size_t i = 0; i < dict.keys.size(); ++i) {
    const Token &key = dict.keys[i];
    std::string name = key.kind == TokenKind::String ? contentOf(key) : std::string(key.text);
    const AttrSpec *spec = def.attr(name);
    std::optional<Attr> value;
    if (!spec)
      error(key, "{} has no attribute '{}'{}", def.name, name, proposal(name, known));
    else if (given.has(name))
      error(key, "attribute '{}' is given twice", name);
    else if ((value = attrOfKind(*spec, dict.children[i], denseType))) {
      if (Rule<Attr> checked = normalizeAttr(def, *spec, *value); !checked)
        error(dict.children[i].token, "{}", checked.error()), value.reset();
    }
    good = good && value;
    if (value)
      given.set(name, std::move(*value));
  }
  if (!good)
    return std::nullopt;
  Rule<Dict> normal = normalizeAttrs(def, given);
  if (!normal)
    return error(op, "{}", normal.error());
  return *normal;
}

std::optional<Tensor> Syntax::dense(const AttrSyntax &syntax, const Type &type) {
  constexpr int64_t kMaxLiteralBytes = int64_t{1} << 32; // a splat of 2^40 elements would fill the memory
  if (type.elements() > kMaxLiteralBytes / static_cast<int64_t>(dtypeSize(type.dtype)))
    return error(syntax.token, "a literal of type {} is too large", toString(type));
  Tensor tensor(type);
  int64_t next = 0;
  bool good = false;
  switch (syntax.kind) {
  case AttrSyntax::Kind::Hex: good = hexBytes(syntax.token, tensor); break;
  case AttrSyntax::Kind::Splat:
    good = element(syntax.children[0], 0, tensor);
    for (size_t i = dtypeSize(type.dtype); good && i < tensor.bytes().size(); ++i)
      tensor.bytes()[i] = tensor.bytes()[i - dtypeSize(type.dtype)];
    break;
  case AttrSyntax::Kind::List:
    if (type.rank() == 0)
      return error(syntax.token, "a literal of type {} is a number or a splat, not a list", toString(type));
    good = elements(syntax, 0, next, tensor);
    break;
  default:
    if (type.rank() != 0)
      return error(syntax.token, "expected a literal of type {}: a list, splat or hex, but got '{}'",
                   toString(type), syntax.token.text);
    good = element(syntax, 0, tensor);
  }
  return good ? std::optional(std::move(tensor)) : std::nullopt;
}

bool Syntax::elements(const AttrSyntax &list, int axis, int64_t &next, Tensor &into) {
  const Shape &shape = into.type().shape;
  if (list.kind != AttrSyntax::Kind::List || static_cast<int64_t>(list.children.size()) != shape[axis]) {
    error(list.token, "dimension {} of {} has {} elements, but got {}", axis, toString(into.type()),
          shape[axis],
          list.kind == AttrSyntax::Kind::List ? fmt::format("a list of {}", list.children.size())
                                              : fmt::format("'{}'", list.token.text));
    return false;
  }
  for (const AttrSyntax &child : list.children)
    if (axis + 1 < shape.rank() ? !elements(child, axis + 1, next, into) : !element(child, next++, into))
      return false;
  return true;
}

bool Syntax::element(const AttrSyntax &syntax, int64_t index, Tensor &into) {
  const Token &token = syntax.token;
  DType dtype = into.type().dtype;
  bool named = syntax.kind == AttrSyntax::Kind::Name, number = syntax.kind == AttrSyntax::Kind::Number;
  bool good = false;
  if (dtype == DType::Bool) {
    good = named && (token.text == "true" || token.text == "false");
    into.setInt(index, good && token.text == "true");
  } else if (isInteger(dtype)) {
    std::optional<int64_t> value;
    if (number && token.kind == TokenKind::Int && !(value = integer(token)))
      return false;
    auto [low, high] = integerRange(dtype);
    good = value && *value >= low && *value <= high;
    if (good)
      into.setInt(index, *value);
  } else if (number && isHexLiteral(token)) {
    std::optional<uint64_t> bits = parsed<uint64_t>(token.text.substr(2), 16);
    size_t size = dtypeSize(dtype);
    good = bits && token.text.size() - 2 <= 2 * size;
    if (good)
      std::memcpy(into.bytes().data() + index * static_cast<int64_t>(size), &*bits, size);
  } else if (number || (named && (token.text == "inf" || token.text == "nan"))) {
    setFloat(into, index, token.text, good);
  }
  if (!good)
    error(token, "expected an element of type {}, but got '{}'", dtypeName(dtype), token.text);
  return good;
}

bool Syntax::hexBytes(const Token &string, Tensor &into) {
  std::string_view digits = string.text.substr(1, string.text.size() - 2);
  std::span<std::byte> bytes = into.bytes();
  if (digits.size() != 2 * bytes.size()) {
    error(string, "{} takes {} hexadecimal digits, but got {}", toString(into.type()), 2 * bytes.size(),
          digits.size());
    return false;
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    int high = hexDigit(digits[2 * i]), low = hexDigit(digits[2 * i + 1]);
    bool fits = into.type().dtype != DType::Bool || (high == 0 && low <= 1);
    if (high < 0 || low < 0 || !fits) {
      error(string, "byte {} of the literal is '{}', which is no {}", i, digits.substr(2 * i, 2),
            fits ? "hexadecimal number" : "bool");
      return false;
    }
    bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return true;
}

} // namespace gradc
