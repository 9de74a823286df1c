#include "codegen/cuda/kernel.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cuda/kernel_forms.h"
#include "codegen/kernel_symbol.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Raised with every change of what generators make for the same kernel text.
constexpr int kCudaGeneratorVersion = 7;

/// A transpose whose rows stay rows.
bool keepsRows(const Function &fn, OpId transpose) {
  return fn[transpose].attrs.ints("permutation").back() == fn.type(fn[transpose].results[0]).rank() - 1;
}

} // namespace

std::string cudaKernelSymbol(const Function &fn, OpId kernel, const CudaTarget &target) {
  return kernelSymbol(fn, kernel, fmt::format("cuda {} {}", kCudaGeneratorVersion, target.name()));
}

bool cudaComputesNeighbours(const CudaKernelContext &k, bool reductions) {
  auto isPlain = [&](OpId id) {
    const OpDef &def = *k.fn[id].def;
    return def.scalar || def.name == "broadcast" || def.name == "reshape" || def.name == "constant" ||
           def.name == "random_uniform" || def.name == "iota" ||
           (def.name == "transpose" && keepsRows(k.fn, id)) || (reductions && def.is(kReduction));
  };
  auto isNarrow = [&](ValueId v) { return dtypeSize(k.fn.type(v).dtype) <= 4 || k.fn.type(v).rank() == 0; };
  return std::ranges::all_of(k.body().ops, isPlain) && std::ranges::all_of(k.body().args, isNarrow) &&
         std::ranges::all_of(k.body().yields, isNarrow);
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

std::string cudaLaunchBounds(const CudaTarget &target, int threads, int64_t blocks, bool readsAhead) {
  const bool alone = readsAhead && blocks <= target.multiprocessors;
  return fmt::format("__launch_bounds__({}{})", threads, alone ? ", 1" : "");
}

} // namespace gradc
