#include "codegen/constants.h"

#include "ir/op.h"
#include "support/check.h"

namespace gradc {

std::optional<Function> withConstants(const Module &module, const Function &fn) {
  std::optional<Function> copy;
  forEachOp(fn, [&](OpId op) {
    const SymbolRef *symbol = fn[op].def->name == "constant" ? fn[op].attrs.symbol("value") : nullptr;
    if (!symbol)
      return;
    const Constant *constant = module.constant(symbol->name);
    CHECK(constant, "constant @{} is not declared", symbol->name);
    if (!copy)
      copy = fn;
    (*copy)[op].attrs.set("value", Attr(constant->value));
  });
  return copy;
}

} // namespace gradc
