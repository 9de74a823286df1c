// Compiles one LLVM module of kernels in memory, for unit tests and kernel benchmarks.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include "codegen/cpu/compiler.h"
#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/emit.h"
#include "runtime/abi.h"
#include "support/check.h"

namespace gradc::testing {

/// Processor time of this thread: other programs on the machine disturb it less than the clock.
inline double threadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A compiled module; the kernels live as long as it does.
class KernelJit {
public:
  KernelJit(const CpuTarget &target, const std::function<void(Emit &)> &fill) {
    const std::unique_ptr<llvm::TargetMachine> machine = *makeTargetMachine(target);
    const double start = threadSeconds();
    llvm::LLVMContext context;
    llvm::Module module("kernels", context);
    module.setDataLayout(machine->createDataLayout());
    module.setTargetTriple(machine->getTargetTriple().str());
    Emit e(module, target);
    fill(e);
    CHECK(!llvm::verifyModule(module, &llvm::errs()), "invalid module");
    auto code = object(*machine, module);
    milliseconds = 1e3 * (threadSeconds() - start);
    jit_ = llvm::cantFail(llvm::orc::LLJITBuilder().create());
    jit_->getMainJITDylib().addGenerator(
        llvm::cantFail(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
            jit_->getDataLayout().getGlobalPrefix())));
    llvm::cantFail(jit_->addObjectFile(std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(code))));
  }

  gradc_kernel kernel(const std::string &name) {
    return llvm::cantFail(jit_->lookup(name)).toPtr<gradc_kernel>();
  }

  double milliseconds = 0; // building the IR and generating code

private:
  static llvm::SmallVector<char, 0> object(llvm::TargetMachine &machine, llvm::Module &module) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream stream(bytes);
    llvm::legacy::PassManager passes;
    CHECK(!machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile));
    passes.run(module);
    return bytes;
  }

  std::unique_ptr<llvm::orc::LLJIT> jit_;
};

} // namespace gradc::testing
