#include "ir/result_types.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/spelling.h"
#include "support/diagnostics.h"

namespace gradc {
namespace {

std::string unknownConstant(const Module &module, const std::string &name) {
  std::vector<std::string_view> known;
  for (const Constant &constant : module.constants)
    known.push_back(constant.name);
  return fmt::format("no constant is called {}{}", symbolText(name), proposal(name, known));
}

/// The attributes with names of constants replaced by the constants.
Rule<Dict> withConstants(const Module &module, const OpDef &def, Dict attrs) {
  for (const AttrSpec &spec : def.attrs) {
    const SymbolRef *symbol = spec.kind == AttrKind::Dense ? attrs.symbol(spec.name) : nullptr;
    if (!symbol)
      continue;
    const Constant *constant = module.constant(symbol->name);
    if (!constant)
      return std::unexpected(unknownConstant(module, symbol->name));
    attrs.set(spec.name, Attr(constant->value));
  }
  return attrs;
}

} // namespace

Rule<std::vector<Type>> resultTypesOf(const Module &module, const Function &fn, const OpDef &def,
                                      std::span<const Type> operands, const Dict &attrs,
                                      std::span<const RegionId> regions) {
  if (!regions.empty()) {
    std::vector<Type> types;
    for (ValueId v : fn[regions[0]].yields)
      types.push_back(fn.type(v));
    return types;
  }
  Rule<Dict> resolved = withConstants(module, def, attrs);
  if (!resolved)
    return std::unexpected(resolved.error());
  return inferTypes(def, operands, *resolved);
}

std::optional<std::string> checkResultTypes(const OpDef &def, std::span<const Type> written,
                                            std::span<const Type> inferred) {
  if (written.size() != inferred.size())
    return fmt::format("{} has {} result{}, but {} types are written", def.name, inferred.size(),
                       inferred.size() == 1 ? "" : "s", written.size());
  bool fixedLayout = def.is(kElementwise) || def.is(kStructural);
  for (size_t i = 0; i < written.size(); ++i) {
    if (std::optional<std::string> wrong = checkLayout(written[i]))
      return wrong;
    bool same = written[i].dtype == inferred[i].dtype && written[i].shape == inferred[i].shape;
    if (!same || (fixedLayout && written[i].layout != inferred[i].layout))
      return fmt::format("{} gives {}, but {} is written", def.name, toString(inferred[i]),
                         toString(written[i]));
  }
  return std::nullopt;
}

} // namespace gradc
