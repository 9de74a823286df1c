#include "codegen/cuda/kernel.h"

#include <fmt/format.h>

#include "codegen/cuda/kernel_forms.h"
#include "codegen/kernel_symbol.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Raised with every change of what generators make for the same kernel text.
constexpr int kCudaGeneratorVersion = 2;

} // namespace

std::string cudaKernelSymbol(const Function &fn, OpId kernel, const CudaTarget &target) {
  return kernelSymbol(fn, kernel, fmt::format("cuda {} {}", kCudaGeneratorVersion, target.name()));
}

CudaKernelCode emitCudaKernel(const Function &fn, OpId kernel, const CudaTarget &target,
                              const std::string &symbol) {
  const CudaKernelContext context{fn, kernel, symbol, target};
  for (auto emit : {emitCudaTranspose, emitCudaScatter})
    if (std::optional<CudaKernelCode> code = emit(context))
      return *std::move(code);
  struct Generator {
    std::string_view kind;
    CudaKernelCode (*emit)(const CudaKernelContext &);
  };
  constexpr Generator generators[] = {
      {"map", emitCudaMap}, {"multi", emitCudaMap}, {"rows", emitCudaRows}, {"contract", emitCudaContract}};
  const std::string &kind = fn[kernel].attrs.str("kind");
  for (const Generator &generator : generators)
    if (generator.kind == kind)
      return generator.emit(context);
  CHECK(false, "kernel of kind {}", kind);
}

} // namespace gradc
