// Content hashes of functions and modules: everything but names of values and locations.
#include <string>
#include <type_traits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/ir.h"
#include "ir/op.h"

namespace gradc {

namespace {

/// The bytes of all that is hashed. Everything of no fixed size comes after its size, so that no two things have the same
/// bytes.
class Bytes {
public:
  uint64_t hash() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void put(T value) { append(&value, sizeof value); }
  void put(std::string_view text) {
    put(text.size());
    append(text.data(), text.size());
  }
  void put(const Type &type) {
    put(type.dtype);
    put(type.rank());
    append(type.shape.begin(), static_cast<size_t>(type.rank()) * sizeof(int64_t));
    put(std::string_view(type.layout));
  }
  void put(const Dict &dict) {
    put(std::distance(dict.begin(), dict.end()));
    for (const auto &[name, value] : dict) {
      put(std::string_view(name));
      put(value);
    }
  }
  void put(const Attr &attr) {
    put(attr.storage().index());
    std::visit([&](const auto &value) { putValue(value); }, attr.storage());
  }

private:
  void append(const void *data, size_t size) { bytes_.append(static_cast<const char *>(data), size); }

  void putValue(Unit) {}
  void putValue(const std::string &value) { put(std::string_view(value)); }
  void putValue(const Keyword &value) { put(std::string_view(value.word)); }
  void putValue(const SymbolRef &value) { put(std::string_view(value.name)); }
  void putValue(const AttrList &list) {
    put(list.size());
    for (const Attr &value : list)
      put(value);
  }
  void putValue(const Dense &tensor) {
    put(tensor->type());
    append(tensor->bytes().data(), tensor->bytes().size());
  }
  template <class T> void putValue(const T &value) { put(value); }

  std::string bytes_;
};

/// Appends a function, its values numbered in program order, so that names play no part.
class FunctionWriter {
public:
  FunctionWriter(const Function &fn, Bytes &out) : fn_(fn), out_(out), number_(fn.numValues(), UINT32_MAX) {}

  void write() {
    out_.put(std::string_view(fn_.name));
    out_.put(fn_.attrs);
    out_.put(fn_.resultAttrs.size());
    for (const Dict &attrs : fn_.resultAttrs)
      out_.put(attrs);
    region(Function::kBody);
  }

private:
  void define(ValueId v) {
    number_[index(v)] = next_++;
    out_.put(fn_[v].type);
    out_.put(fn_[v].attrs);
  }
  void defineAll(std::span<const ValueId> values) {
    out_.put(values.size());
    for (ValueId v : values)
      define(v);
  }
  void useAll(std::span<const ValueId> values) {
    out_.put(values.size());
    for (ValueId v : values)
      out_.put(number_[index(v)]);
  }

  void region(RegionId id) {
    defineAll(fn_[id].args);
    out_.put(fn_[id].ops.size());
    for (OpId op : fn_[id].ops) {
      out_.put(fn_[op].def->name);
      useAll(fn_[op].operands);
      out_.put(fn_[op].attrs);
      out_.put(fn_[op].regions.size());
      for (RegionId inner : fn_[op].regions)
        region(inner);
      defineAll(fn_[op].results);
    }
    useAll(fn_[id].yields);
  }

  const Function &fn_;
  Bytes &out_;
  std::vector<uint32_t> number_;
  uint32_t next_ = 0;
};

} // namespace

uint64_t contentHash(const Function &fn) {
  Bytes bytes;
  FunctionWriter(fn, bytes).write();
  return bytes.hash();
}

uint64_t contentHash(const Module &module) {
  Bytes bytes;
  bytes.put(std::string_view(module.name));
  bytes.put(module.attrs);
  bytes.put(module.variables.size());
  for (const Variable &v : module.variables) {
    bytes.put(v.kind);
    bytes.put(std::string_view(v.name));
    bytes.put(v.type);
    bytes.put(v.attrs);
  }
  bytes.put(module.constants.size());
  for (const Constant &c : module.constants) {
    bytes.put(std::string_view(c.name));
    bytes.put(Attr(c.value));
  }
  for (const auto &fn : module.functions)
    FunctionWriter(*fn, bytes).write();
  return bytes.hash();
}

} // namespace gradc
