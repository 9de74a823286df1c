// Drops what nothing uses: ops without an effect whose results are unused, and constants that no op names.
//
//   %a = exp(%x) : f32[4]
//   %b = neg(%x) : f32[4]
//   return %b
// becomes
//   %b = neg(%x) : f32[4]
//   return %b
//
// Runs after passes that leave dead ops behind (canonicalize, cse, optimizer) and before fuse, which counts uses.
// Ordered ops are kept.
#include <set>

#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

int64_t dropConstants(Module &module) {
  std::set<std::string, std::less<>> used;
  for (const auto &fn : module.functions)
    forEachOp(*fn, [&](OpId op) {
      for (const auto &[name, value] : (*fn)[op].attrs)
        if (const SymbolRef *symbol = value.as<SymbolRef>())
          used.insert(symbol->name);
    });
  return static_cast<int64_t>(std::erase_if(
      module.constants, [&](const Constant &constant) { return !used.contains(constant.name); }));
}

Result<bool> run(Module &module, PassContext &context) {
  int64_t ops = 0;
  for (auto &fn : module.functions)
    ops += dropDeadOps(*fn);
  int64_t constants = dropConstants(module);
  context.statistics["ops dropped"] += ops;
  context.statistics["constants dropped"] += constants;
  return ops + constants != 0;
}

} // namespace
} // namespace gradc

GRADC_PASS(dce) { return {.name = "dce", .doc = "drop ops and constants that nothing uses", .run = run}; }
