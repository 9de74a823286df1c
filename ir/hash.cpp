// Content hashes of functions and modules: everything but names and locations.
#include <string>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ir/ir.h"
#include "ir/op.h"

namespace gradc {

namespace {

/// Serialises a function with values numbered in program order, so that names play no part.
class Hasher {
public:
  explicit Hasher(const Function &fn) : fn_(fn), number_(fn.numValues(), UINT32_MAX) {}

  uint64_t run() {
    text_ += fn_.name + toString(fn_.attrs);
    for (const Dict &attrs : fn_.resultAttrs)
      text_ += toString(attrs);
    region(Function::kBody);
    return XXH3_64bits(text_.data(), text_.size());
  }

private:
  void define(ValueId v) {
    number_[index(v)] = next_++;
    text_ += toString(fn_[v].type) + toString(fn_[v].attrs) + ";";
  }
  void use(ValueId v) { text_ += std::to_string(number_[index(v)]) + ","; }

  void region(RegionId id) {
    text_ += "{";
    for (ValueId v : fn_[id].args)
      define(v);
    for (OpId op : fn_[id].ops) {
      text_ += fn_[op].def->name;
      text_ += "(";
      for (ValueId v : fn_[op].operands)
        use(v);
      text_ += ")" + toString(fn_[op].attrs);
      for (RegionId inner : fn_[op].regions)
        region(inner);
      for (ValueId v : fn_[op].results)
        define(v);
    }
    text_ += "}";
    for (ValueId v : fn_[id].yields)
      use(v);
  }

  const Function &fn_;
  std::vector<uint32_t> number_;
  uint32_t next_ = 0;
  std::string text_;
};

} // namespace

uint64_t contentHash(const Function &fn) { return Hasher(fn).run(); }

uint64_t contentHash(const Module &module) {
  std::string text = module.name + toString(module.attrs);
  for (const Variable &v : module.variables)
    text += std::to_string(static_cast<int>(v.kind)) + v.name + toString(v.type) + toString(v.attrs);
  for (const Constant &c : module.constants)
    text += c.name + toString(Attr(c.value));
  for (const auto &fn : module.functions)
    text += std::to_string(contentHash(*fn)) + ",";
  return XXH3_64bits(text.data(), text.size());
}

} // namespace gradc
