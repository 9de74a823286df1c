#include "codegen/cpu/kernel.h"

#include <fmt/format.h>

#include "codegen/cpu/emit.h"
#include "codegen/kernel_symbol.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Raised with every change of what generators make for the same kernel text.
constexpr int kGeneratorVersion = 9;

} // namespace

std::string kernelSymbol(const Function &fn, OpId kernel, const CpuTarget &target) {
  return kernelSymbol(fn, kernel, fmt::format("cpu {} {}", kGeneratorVersion, target.key()));
}

KernelCode emitKernel(llvm::Module &module, const CpuTarget &target, const Function &fn, OpId kernel,
                      const std::string &symbol) {
  Emit e(module, target);
  KernelContext context{e, fn, kernel, symbol};
  if (isTransposingRelayout(context))
    return emitRelayout(context);
  if (isScatter(context))
    return emitScatter(context);
  struct Generator {
    std::string_view kind;
    KernelCode (*emit)(KernelContext &);
  };
  constexpr Generator generators[] = {
      {"map", emitMap}, {"multi", emitMap}, {"rows", emitRows}, {"contract", emitContract}};
  const std::string &kind = fn[kernel].attrs.str("kind");
  for (const Generator &generator : generators)
    if (generator.kind == kind)
      return generator.emit(context);
  CHECK(false, "kernel of kind {}", kind);
}

} // namespace gradc
