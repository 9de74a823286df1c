#include "codegen/cpu/kernel.h"

#include <fmt/format.h>

#include "codegen/cpu/debug_places.h"
#include "codegen/cpu/emit.h"
#include "codegen/kernel_symbol.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Raised with every change of what generators make for the same kernel text.
constexpr int kGeneratorVersion = 87;

} // namespace

std::string kernelSymbol(const Function &fn, OpId kernel, const CpuTarget &target) {
  return kernelSymbol(fn, kernel, fmt::format("cpu {} {}", kGeneratorVersion, target.key()));
}

namespace {

KernelCode emitCode(KernelContext &context) {
  if (isTransposingRelayout(context))
    return emitRelayout(context);
  if (isScatter(context))
    return emitScatter(context);
  struct Generator {
    std::string_view kind;
    KernelCode (*emit)(KernelContext &);
  };
  constexpr Generator generators[] = {{"map", emitMap},
                                      {"multi", emitMap},
                                      {"rows", emitRows},
                                      {"contract", emitContract},
                                      {"pair", emitPair}};
  const std::string &kind = context.fn[context.kernel].attrs.str("kind");
  for (const Generator &generator : generators)
    if (generator.kind == kind)
      return generator.emit(context);
  CHECK(false, "kernel of kind {}", kind);
}

} // namespace

KernelCode emitKernel(llvm::Module &module, const CpuTarget &target, const Function &fn, OpId kernel,
                      const std::string &symbol, const std::string &debugName) {
  Emit e(module, target);
  KernelContext context{e, fn, kernel, symbol};
  if (debugName.empty())
    return emitCode(context);
  DebugPlaces debug(module, kernelPlace(fn, kernel), debugName);
  e.debug = &debug;
  e.b.SetCurrentDebugLocation(debug.kernel());
  KernelCode code = emitCode(context);
  debug.finish();
  return code;
}

} // namespace gradc
