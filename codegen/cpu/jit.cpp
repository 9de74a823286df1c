#include "codegen/cpu/jit.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"

namespace gradc {
namespace {

Status internal(llvm::Error error) {
  return {ExitCode::Internal, "linking compiled kernels: " + llvm::toString(std::move(error))};
}

} // namespace

struct Jit::State {
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

Jit::Jit(std::unique_ptr<State> state) : state_(std::move(state)) {}
Jit::~Jit() = default;

StatusOr<std::unique_ptr<Jit>> Jit::create(const CpuTarget &target) {
  llvm::InitializeNativeTarget(); // for the data layout; the linker itself needs none
  llvm::orc::JITTargetMachineBuilder machine{llvm::Triple(target.triple)};
  machine.setCPU(target.name);
  // Kernels have no initialisers, so the platform that would run them is left out.
  auto jit = llvm::orc::LLJITBuilder()
                 .setJITTargetMachineBuilder(std::move(machine))
                 .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                 .create();
  if (!jit)
    return std::unexpected(internal(jit.takeError()));
  auto state = std::make_unique<State>();
  state->jit = std::move(*jit);
  return std::unique_ptr<Jit>(new Jit(std::move(state)));
}

Status Jit::add(const std::string &symbol, const std::string &object) {
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, symbol);
  if (llvm::Error error = state_->jit->addObjectFile(std::move(buffer)))
    return internal(std::move(error));
  return okStatus();
}

StatusOr<gradc_kernel> Jit::find(const std::string &symbol) {
  auto address = state_->jit->lookup(symbol);
  if (!address)
    return std::unexpected(internal(address.takeError()));
  return address->toPtr<gradc_kernel>();
}

} // namespace gradc
