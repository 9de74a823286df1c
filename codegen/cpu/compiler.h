// LLVM IR to machine code or text. One compiler per thread: it owns a target machine and makes a context per kernel.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "codegen/object.h"
#include "support/result.h"

namespace llvm {
class TargetMachine;
}

namespace gradc {

/// LLVM's code generator for the processor, as all kernels go through it.
StatusOr<std::unique_ptr<llvm::TargetMachine>> makeTargetMachine(const CpuTarget &target);

enum class CodeText : uint8_t { Llvm, Assembly };

class KernelCompiler {
public:
  static StatusOr<KernelCompiler> create(const CpuTarget &target);
  KernelCompiler(KernelCompiler &&) noexcept;
  ~KernelCompiler();

  /// What the processor must have, of support/cpu_features.h.
  uint64_t neededFeatures() const;

  /// With a `debugName` the code has debug information, under that name.
  KernelObject compile(const Function &fn, OpId kernel, const std::string &symbol,
                       const std::string &debugName = {});
  /// An object file of the functions that `fill` makes.
  std::string object(const std::string &name, const std::function<void(llvm::Module &)> &fill);
  /// For people; `comment` lines go above the code, whose steps go to `code`.
  std::string text(const Function &fn, OpId kernel, const std::string &symbol, CodeText form,
                   const std::string &comment, const std::string &debugName, KernelCode &code);

private:
  KernelCompiler(CpuTarget target, std::unique_ptr<llvm::TargetMachine> machine);

  CpuTarget target_;
  std::unique_ptr<llvm::TargetMachine> machine_;
};

} // namespace gradc
