#include "ir/attribute.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "ir/spelling.h"
#include "support/check.h"

namespace gradc {

Dict::Dict(std::initializer_list<std::pair<std::string_view, Attr>> entries) {
  for (const auto &[name, value] : entries)
    set(name, value);
}

const Attr *Dict::find(std::string_view name) const {
  for (const auto &[key, value] : entries_)
    if (key == name)
      return &value;
  return nullptr;
}

const SymbolRef *Dict::symbol(std::string_view name) const {
  const Attr *attr = find(name);
  return attr ? attr->as<SymbolRef>() : nullptr;
}

void Dict::set(std::string_view name, Attr value) {
  for (auto &[key, old] : entries_)
    if (key == name) {
      old = std::move(value);
      return;
    }
  entries_.emplace_back(std::string(name), std::move(value));
}

void Dict::erase(std::string_view name) {
  std::erase_if(entries_, [&](const auto &entry) { return entry.first == name; });
}

bool Dict::operator==(const Dict &other) const { return entries_ == other.entries_; }

namespace {
template <class T> const T &required(const Dict &dict, std::string_view name) {
  const Attr *attr = dict.find(name);
  CHECK(attr, "no attribute '{}'", name);
  const T *value = attr->as<T>();
  CHECK(value, "attribute '{}' has another kind: {}", name, toString(*attr));
  return *value;
}
} // namespace

int64_t Dict::i64(std::string_view name) const { return required<int64_t>(*this, name); }

double Dict::f64(std::string_view name) const {
  const Attr *attr = find(name);
  if (attr && attr->as<int64_t>())
    return static_cast<double>(*attr->as<int64_t>());
  return required<double>(*this, name);
}

bool Dict::flag(std::string_view name) const {
  const Attr *attr = find(name);
  if (!attr)
    return false;
  if (attr->as<Unit>())
    return true;
  return required<bool>(*this, name);
}

const std::string &Dict::str(std::string_view name) const {
  const Attr *attr = find(name);
  if (attr && attr->as<Keyword>())
    return attr->as<Keyword>()->word;
  if (const SymbolRef *reference = symbol(name))
    return reference->name;
  return required<std::string>(*this, name);
}

std::vector<int64_t> Dict::ints(std::string_view name) const {
  std::vector<int64_t> values;
  for (const Attr &element : required<AttrList>(*this, name)) {
    CHECK(element.as<int64_t>(), "attribute '{}' is not a list of integers", name);
    values.push_back(*element.as<int64_t>());
  }
  return values;
}

Attr::Attr(const std::vector<int64_t> &values) : value_(AttrList(values.begin(), values.end())) {}

bool Attr::operator==(const Attr &other) const {
  if (value_.index() != other.value_.index())
    return false;
  if (const double *a = as<double>())
    return std::bit_cast<uint64_t>(*a) == std::bit_cast<uint64_t>(*other.as<double>());
  if (const Dense *a = as<Dense>())
    return *a == *other.as<Dense>() || **a == **other.as<Dense>();
  return value_ == other.value_;
}

namespace {

template <class Float> std::string shortest(Float value) {
  if (std::isnan(value)) {
    using Bits = std::conditional_t<sizeof(Float) == 4, uint32_t, uint64_t>;
    Bits bits = std::bit_cast<Bits>(value);
    // The canonical quiet NaN has a name; any other payload prints as its bits.
    if (bits == std::bit_cast<Bits>(std::numeric_limits<Float>::quiet_NaN()))
      return "nan";
    return fmt::format("0x{:0{}x}", bits, sizeof(Float) * 2);
  }
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

std::string elementText(const Tensor &tensor, int64_t i) {
  switch (tensor.type().dtype) {
  case DType::F64: return floatText(tensor.get(i));
  case DType::F32:
  case DType::BF16:
  case DType::F16: return floatText(static_cast<float>(tensor.get(i)));
  case DType::Bool: return tensor.getInt(i) ? "true" : "false";
  default: return fmt::format("{}", tensor.getInt(i));
  }
}

std::string hexText(const Tensor &tensor) {
  std::string text = "hex(\"";
  for (std::byte byte : tensor.bytes())
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(byte));
  return text + "\")";
}

/// Small tensors as nested decimal lists, equal elements as splat, the rest as hex. The element type comes from
/// the place where the literal stands, so NaNs with a payload go to hex as well.
std::string denseText(const Tensor &tensor) {
  const Type &type = tensor.type();
  int64_t n = tensor.elements();
  size_t size = dtypeSize(type.dtype);
  bool same = true, plain = true;
  for (int64_t i = 0; i < n; ++i) {
    same = same && std::memcmp(tensor.bytes().data(), tensor.bytes().data() + i * size, size) == 0;
    plain = plain && !(isFloat(type.dtype) && std::isnan(tensor.get(i)));
  }
  if (!plain || (n > 64 && !same))
    return hexText(tensor);
  if (type.rank() == 0)
    return fmt::format("splat({})", elementText(tensor, 0));
  if (same && n > 1)
    return fmt::format("splat({})", elementText(tensor, 0));
  std::string text;
  std::vector<int64_t> strides = rowMajorStrides(type.shape);
  for (int64_t i = 0; i < n; ++i) {
    if (i)
      text += ", ";
    for (int axis = 0; axis < type.rank(); ++axis)
      if (i % (strides[axis] * type.shape[axis]) == 0)
        text += '[';
    text += elementText(tensor, i);
    for (int axis = 0; axis < type.rank(); ++axis)
      if ((i + 1) % (strides[axis] * type.shape[axis]) == 0)
        text += ']';
  }
  return text;
}

struct AttrPrinter {
  std::string operator()(Unit) const { return "true"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return floatText(value); }
  std::string operator()(const std::string &value) const { return quoted(value); }
  std::string operator()(const Keyword &value) const { return value.word; }
  std::string operator()(const SymbolRef &value) const { return symbolText(value.name); }
  std::string operator()(DType value) const { return std::string(dtypeName(value)); }
  std::string operator()(const Type &value) const { return toString(value); }
  std::string operator()(const AttrList &value) const {
    std::vector<std::string> parts;
    bool ints = true;
    for (const Attr &element : value) {
      parts.push_back(toString(element));
      ints = ints && element.as<int64_t>();
    }
    return fmt::format("[{}]", fmt::join(parts, ints ? "," : ", "));
  }
  std::string operator()(const Dict &value) const { return toString(value); }
  std::string operator()(const Dense &value) const { return denseText(*value); }
};

} // namespace

std::string floatText(double value) { return shortest(value); }
std::string floatText(float value) { return shortest(value); }

std::string toString(const Attr &attr) { return std::visit(AttrPrinter{}, attr.storage()); }

std::string toString(const Dict &dict) {
  std::vector<std::string> parts;
  for (const auto &[name, value] : dict) {
    std::string key = isBareName(name) ? name : quoted(name);
    parts.push_back(value.as<Unit>() ? key : fmt::format("{} = {}", key, toString(value)));
  }
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

} // namespace gradc
