#include "codegen/cpu/compiler.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include "support/check.h"
#include "support/cpu_features.h"

namespace gradc {
namespace {

/// Loop strength reduction takes a fifth of the time of code generation. Our large loops step by the addresses that they
/// need, and where a small one has a few instructions more without it nothing was slower (docs/tuning.md). Its command line
/// option, a bool as of LLVM 19, is the one way to leave it out; it holds for the process.
void disableLoopStrengthReduction() {
  llvm::cl::Option *option = llvm::cl::getRegisteredOptions().lookup("disable-lsr");
  CHECK(option != nullptr, "LLVM has no option disable-lsr");
  static_cast<llvm::cl::opt<bool> *>(option)->setValue(true);
}

void initializeTargets() {
  static const bool done = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    disableLoopStrengthReduction();
    return true;
  }();
  (void)done;
}

/// The code generators for other machines are registered only where one is asked for: it takes a moment.
void initializeOtherTargets() {
  static const bool done = [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    return true;
  }();
  (void)done;
}

/// A module of its own context, verified.
struct KernelModule {
  llvm::LLVMContext context;
  llvm::Module module;
  KernelCode code;

  KernelModule(llvm::TargetMachine &machine, const std::string &name,
               const std::function<void(llvm::Module &)> &fill)
      : module(name, context) {
    module.setDataLayout(machine.createDataLayout());
    module.setTargetTriple(machine.getTargetTriple().str());
    fill(module);
    std::string problem;
    llvm::raw_string_ostream out(problem);
    CHECK(!llvm::verifyModule(module, &out), "kernel {}: {}", name, problem);
  }

  KernelModule(llvm::TargetMachine &machine, const CpuTarget &target, const Function &fn, OpId kernel,
               const std::string &symbol, const std::string &debugName)
      : KernelModule(machine, symbol, [&](llvm::Module &module) {
          code = emitKernel(module, target, fn, kernel, symbol, debugName);
        }) {}

  llvm::SmallVector<char, 0> emit(llvm::TargetMachine &machine, llvm::CodeGenFileType form) {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream out(bytes);
    llvm::legacy::PassManager passes; // code generation only: the IR is made as it should be
    CHECK(!machine.addPassesToEmitFile(passes, out, nullptr, form, /*DisableVerify=*/true));
    passes.run(module);
    return bytes;
  }
};

} // namespace

KernelCompiler::KernelCompiler(CpuTarget target, std::unique_ptr<llvm::TargetMachine> machine)
    : target_(std::move(target)), machine_(std::move(machine)) {}
KernelCompiler::KernelCompiler(KernelCompiler &&) noexcept = default;
KernelCompiler::~KernelCompiler() = default;

StatusOr<std::unique_ptr<llvm::TargetMachine>> makeTargetMachine(const CpuTarget &target) {
  initializeTargets();
  std::string problem;
  if (llvm::Triple(target.triple).getArch() != llvm::Triple(llvm::sys::getProcessTriple()).getArch())
    initializeOtherTargets();
  const llvm::Target *backend = llvm::TargetRegistry::lookupTarget(target.triple, problem);
  if (!backend)
    return failure(ExitCode::Device, fmt::format("LLVM cannot make code for {}: {}", target.triple, problem));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict; // what is fused says so: llvm.fma
  return std::unique_ptr<llvm::TargetMachine>(
      backend->createTargetMachine(target.triple, target.name, target.features, options, llvm::Reloc::PIC_,
                                   llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default, /*JIT=*/true));
}

StatusOr<KernelCompiler> KernelCompiler::create(const CpuTarget &target) {
  StatusOr<std::unique_ptr<llvm::TargetMachine>> machine = makeTargetMachine(target);
  if (!machine)
    return std::unexpected(machine.error());
  return KernelCompiler(target, std::move(*machine));
}

uint64_t KernelCompiler::neededFeatures() const {
  if (!llvm::Triple(target_.triple).isX86())
    return 0;
  uint64_t needed = 0;
#define GRADC_NEEDED(bit, name, ...)                                                                         \
  if (machine_->getMCSubtargetInfo()->checkFeatures("+" name))                                               \
    needed |= uint64_t{1} << (bit);
  GRADC_X86_FEATURES(GRADC_NEEDED)
#undef GRADC_NEEDED
  return needed;
}

KernelObject KernelCompiler::compile(const Function &fn, OpId kernel, const std::string &symbol,
                                     const std::string &debugName) {
  KernelModule module(*machine_, target_, fn, kernel, symbol, debugName);
  llvm::SmallVector<char, 0> bytes = module.emit(*machine_, llvm::CodeGenFileType::ObjectFile);
  return {std::string(bytes.begin(), bytes.end()), std::move(module.code)};
}

std::string KernelCompiler::object(const std::string &name, const std::function<void(llvm::Module &)> &fill) {
  KernelModule module(*machine_, name, fill);
  llvm::SmallVector<char, 0> bytes = module.emit(*machine_, llvm::CodeGenFileType::ObjectFile);
  return {bytes.begin(), bytes.end()};
}

std::string KernelCompiler::text(const Function &fn, OpId kernel, const std::string &symbol, CodeText form,
                                 const std::string &comment, const std::string &debugName, KernelCode &code) {
  KernelModule module(*machine_, target_, fn, kernel, symbol, debugName);
  code = module.code;
  std::string text;
  std::string_view mark = form == CodeText::Llvm ? "; " : "# ";
  for (size_t at = 0; at < comment.size();) {
    size_t end = std::min(comment.find('\n', at), comment.size());
    text += std::string(mark) + comment.substr(at, end - at) + "\n";
    at = end + 1;
  }
  if (form == CodeText::Llvm) {
    llvm::raw_string_ostream out(text);
    module.module.print(out, nullptr);
  } else {
    llvm::SmallVector<char, 0> bytes = module.emit(*machine_, llvm::CodeGenFileType::AssemblyFile);
    text.append(bytes.begin(), bytes.end());
  }
  return text;
}

} // namespace gradc
