// Attributes: the compile-time arguments of ops, functions and declarations.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/tensor.h"
#include "ir/type.h"

namespace gradc {

class Attr;
struct SymbolRef;
using AttrList = std::vector<Attr>;

/// An ordered set of named attributes. Small, so look-up is linear.
class Dict {
public:
  Dict() = default;
  /// Dict{{"axes", axes}, {"keep_dims", true}}
  Dict(std::initializer_list<std::pair<std::string_view, Attr>> entries);

  const Attr *find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// Replaces or appends.
  void set(std::string_view name, Attr value);
  void erase(std::string_view name);
  bool empty() const; // defined below: Attr is incomplete here
  auto begin() const;
  auto end() const;

  /// Typed access to an attribute that must be there with that kind (CHECK).
  int64_t i64(std::string_view name) const;
  double f64(std::string_view name) const;
  bool flag(std::string_view name) const;              // absent is false
  const std::string &str(std::string_view name) const; // string or keyword
  std::vector<int64_t> ints(std::string_view name) const;
  /// A name that may be absent or something else: null.
  const SymbolRef *symbol(std::string_view name) const;

  bool operator==(const Dict &) const;

private:
  std::vector<std::pair<std::string, Attr>> entries_;
};

struct Unit {
  bool operator==(const Unit &) const = default;
};
struct Keyword { // a bare word: kind = contract
  std::string word;
  bool operator==(const Keyword &) const = default;
};
struct SymbolRef { // @conv1.weight
  std::string name;
  bool operator==(const SymbolRef &) const = default;
};
using Dense = std::shared_ptr<const Tensor>;

class Attr {
public:
  using Storage = std::variant<Unit, bool, int64_t, double, std::string, Keyword, SymbolRef, DType, Type,
                               AttrList, Dict, Dense>;

  Attr() : value_(Unit{}) {}
  Attr(bool value) : value_(value) {}
  Attr(int value) : value_(int64_t{value}) {}
  Attr(int64_t value) : value_(value) {}
  Attr(double value) : value_(value) {}
  Attr(const char *value) : value_(std::string(value)) {}
  Attr(std::string value) : value_(std::move(value)) {}
  Attr(Keyword value) : value_(std::move(value)) {}
  Attr(SymbolRef value) : value_(std::move(value)) {}
  Attr(DType value) : value_(value) {}
  Attr(Type value) : value_(std::move(value)) {}
  Attr(AttrList value) : value_(std::move(value)) {}
  Attr(Dict value) : value_(std::move(value)) {}
  Attr(Dense value) : value_(std::move(value)) {}
  Attr(Tensor value) : value_(std::make_shared<const Tensor>(std::move(value))) {}
  /// A list of integers.
  Attr(const std::vector<int64_t> &values);
  Attr(const Shape &shape) : Attr(std::vector<int64_t>(shape.begin(), shape.end())) {}

  template <class T> const T *as() const { return std::get_if<T>(&value_); }
  const Storage &storage() const { return value_; }
  /// Dense compares the tensors, not the pointers; floats compare by bits, so nan == nan and 0.0 != -0.0.
  bool operator==(const Attr &other) const;

private:
  Storage value_;
};

inline bool Dict::empty() const { return entries_.empty(); }
inline auto Dict::begin() const { return entries_.begin(); }
inline auto Dict::end() const { return entries_.end(); }

/// The text form, as ir/parser.h reads it back.
std::string toString(const Attr &attr);
std::string toString(const Dict &dict); // with braces

/// The shortest decimal text that parses back to the same double; always has '.' or 'e', or is inf/nan/-inf.
std::string floatText(double value);
/// The shortest text that parses back to the same float when rounded to f32.
std::string floatText(float value);

} // namespace gradc
