#include "codegen/cpu/peaks.h"

#include "codegen/cpu/compiler.h"
#include "codegen/cpu/emit.h"

namespace gradc {
namespace {

constexpr int kVectorsPerBlock = PeakKernels::kBlockBytes / (kVectorLanes * 4);

/// As many as hide the latency of a multiply-add and still fit the registers.
int chains(const CpuTarget &target) {
  return target.vectorRegisters == 32 ? 20 / target.registersPerVector() : 10 / target.registersPerVector();
}

llvm::Value *vectorAt(Emit &e, llvm::Value *array, llvm::Value *item, int vector) {
  return e.offset(e.offset(array, e.mul(item, PeakKernels::kBlockBytes)), int64_t{vector} * kVectorLanes * 4);
}

llvm::Value *load(Emit &e, llvm::Value *pointer) {
  return e.b.CreateAlignedLoad(e.vectorType(DType::F32), pointer, llvm::Align(64));
}

void store(Emit &e, llvm::Value *value, llvm::Value *pointer) {
  e.b.CreateAlignedStore(value, pointer, llvm::Align(64));
}

void storeSum(Emit &e, Values sums, llvm::Value *to) {
  for (size_t i = 1; i < sums.size(); ++i)
    sums[0] = e.b.CreateFAdd(sums[0], sums[i]);
  store(e, sums[0], to);
}

void emitMultiplyAdds(Emit &e) {
  e.beginKernel("multiply_adds");
  llvm::Value *out = e.buffer(0), *x = load(e, out);
  const Values start(static_cast<size_t>(chains(e.target)), x);
  storeSum(e,
           e.loop(e.itemBegin(), e.itemEnd(), 1, start,
                  [&](llvm::Value *, const Values &sums) {
                    Values next;
                    for (llvm::Value *sum : sums)
                      next.push_back(e.fma(x, x, sum));
                    return next;
                  }),
           out);
  e.endFunction();
}

void emitRead(Emit &e) {
  e.beginKernel("read");
  llvm::Value *out = e.buffer(0), *array = e.buffer(1);
  const Values start(kVectorsPerBlock, e.constant(DType::F32, 0));
  storeSum(e,
           e.loop(e.itemBegin(), e.itemEnd(), 1, start,
                  [&](llvm::Value *item, const Values &sums) {
                    Values next;
                    for (int v = 0; v < kVectorsPerBlock; ++v)
                      next.push_back(e.b.CreateFAdd(sums[v], load(e, vectorAt(e, array, item, v))));
                    return next;
                  }),
           out);
  e.endFunction();
}

void emitCopy(Emit &e) {
  e.beginKernel("copy");
  llvm::Value *to = e.buffer(0), *from = e.buffer(1);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    for (int v = 0; v < kVectorsPerBlock; ++v)
      store(e, load(e, vectorAt(e, from, item, v)), vectorAt(e, to, item, v));
  });
  e.endFunction();
}

void emitUpdate(Emit &e) {
  e.beginKernel("update");
  llvm::Value *weights = e.buffer(0), *momenta = e.buffer(1), *factor = e.constant(DType::F32, 0.5);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    for (int v = 0; v < kVectorsPerBlock; ++v) {
      llvm::Value *w = vectorAt(e, weights, item, v), *m = vectorAt(e, momenta, item, v);
      llvm::Value *momentum = e.b.CreateFMul(load(e, m), factor);
      store(e, momentum, m);
      store(e, e.b.CreateFAdd(load(e, w), momentum), w);
    }
  });
  e.endFunction();
}

} // namespace

StatusOr<PeakKernels> PeakKernels::make(const CpuTarget &target) {
  StatusOr<KernelCompiler> compiler = KernelCompiler::create(target);
  if (!compiler)
    return std::unexpected(compiler.error());
  const std::string object = compiler->object("peaks", [&](llvm::Module &module) {
    Emit e(module, target);
    for (const auto &emit : {emitMultiplyAdds, emitRead, emitCopy, emitUpdate})
      emit(e);
  });
  StatusOr<std::unique_ptr<Jit>> jit = Jit::create(target);
  if (!jit)
    return std::unexpected(jit.error());
  if (Status added = (*jit)->add("peaks", object); !added.ok())
    return std::unexpected(added);
  PeakKernels kernels;
  kernels.operations = 2.0 * kVectorLanes * chains(target);
  const std::pair<const char *, gradc_kernel *> names[] = {{"multiply_adds", &kernels.multiplyAdds},
                                                           {"read", &kernels.read},
                                                           {"copy", &kernels.copy},
                                                           {"update", &kernels.update}};
  for (const auto &[name, kernel] : names) {
    StatusOr<gradc_kernel> found = (*jit)->find(name);
    if (!found)
      return std::unexpected(found.error());
    *kernel = *found;
  }
  kernels.jit = std::move(*jit);
  return kernels;
}

} // namespace gradc
