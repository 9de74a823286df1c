// From one `kernel` op to LLVM IR: a kernel becomes one function per step (runtime/abi.h). A step's buffers are
// the kernel's operands, then its results, then its workspace where it has one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/cpu/target.h"
#include "ir/ir.h"

namespace llvm {
class Module;
}

namespace gradc {

class Emit;

struct KernelStep {
  std::string symbol;
  int64_t items = 1;        // grid items
  int64_t scratchBytes = 0; // per worker
  double work = 0;          // estimated seconds of one thread
};

/// What the emitter of a kernel says besides the code; stored with the object in the cache.
struct KernelCode {
  std::vector<KernelStep> steps;
  /// Memory that the kernel's steps hand to each other: partial sums. One more buffer after the results.
  int64_t workspaceBytes = 0;
};

/// What a generator gets: the kernel op, the module to fill, the symbol that its functions' names begin with.
struct KernelContext {
  Emit &e;
  const Function &fn;
  OpId kernel;
  std::string symbol;

  RegionId region() const { return fn[kernel].regions[0]; }
  const RegionData &body() const { return fn[region()]; }
  /// Numbers in the buffer list.
  int operandBuffer(int i) const { return i; }
  int resultBuffer(int i) const { return static_cast<int>(fn[kernel].operands.size()) + i; }
  int workspaceBuffer() const { return resultBuffer(static_cast<int>(fn[kernel].results.size())); }
};

// The generators, by kind. All are total for legal kernels of their kind.
KernelCode emitMap(KernelContext &k);        // map and multi
KernelCode emitRows(KernelContext &k);       // reductions
KernelCode emitColumnSums(KernelContext &k); // for isColumnSums
bool isColumnSums(const KernelContext &k);
KernelCode emitContract(KernelContext &k); // matmul, convolutions
KernelCode emitPair(KernelContext &k);     // both gradients of a dense layer
KernelCode emitRelayout(KernelContext &k); // for isTransposingRelayout
bool isTransposingRelayout(const KernelContext &k);
KernelCode emitScatter(KernelContext &k); // for isScatter
bool isScatter(const KernelContext &k);

/// codegen/kernel_symbol.h, for code of this target.
std::string kernelSymbol(const Function &fn, OpId kernel, const CpuTarget &target);

/// Fills `module` with the functions of a kernel. With a `debugName` they have debug information, under that name.
KernelCode emitKernel(llvm::Module &module, const CpuTarget &target, const Function &fn, OpId kernel,
                      const std::string &symbol, const std::string &debugName = {});

} // namespace gradc
