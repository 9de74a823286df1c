#include "codegen/cpu/loops/streaming.h"

#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/TargetParser/Triple.h"

#include "ir/layout.h"

namespace gradc {
namespace {

/// Twice what a core finds again in the last cache. A stored line is read first and written later, so that stores past
/// the caches move two thirds; below this they would send to memory what the next kernel reads.
constexpr int64_t kStreamedBytes = int64_t{128} << 20;

int64_t bytesMoved(const KernelContext &k) {
  int64_t bytes = 0;
  for (const std::vector<ValueId> *values : {&k.body().args, &k.body().yields})
    for (ValueId value : *values)
      bytes += storageBytes(k.fn.type(value));
  return bytes;
}

/// Whether each result begins a line and none takes an operand's place.
llvm::Value *areApart(KernelContext &k) {
  llvm::IRBuilder<> &b = k.e.b;
  llvm::Value *holds = b.getTrue();
  for (size_t i = 0; i < k.body().yields.size(); ++i) {
    llvm::Value *result = k.e.buffer(k.resultBuffer(static_cast<int>(i)));
    llvm::Value *within = b.CreateAnd(b.CreatePtrToInt(result, b.getInt64Ty()), kCacheLine - 1);
    holds = b.CreateAnd(holds, b.CreateICmpEQ(within, k.e.i64(0)));
    for (size_t arg = 0; arg < k.body().args.size(); ++arg)
      holds = b.CreateAnd(holds, b.CreateICmpNE(result, k.e.buffer(k.operandBuffer(static_cast<int>(arg)))));
  }
  return holds;
}

} // namespace

void bindWalked(ElementEmitter &m, const KernelContext &k, ValueId arg, llvm::Value *memory,
                const Type &space, const bool &fetches, Ahead ahead) {
  const Type &type = k.fn.type(arg);
  if (type.shape != space.shape || type.layout != space.layout || bytesMoved(k) <= k.e.target.l2Bytes / 2)
    return m.bindBuffer(arg, memory);
  m.bindValue(arg, [&m, &fetches, type, memory, ahead](const LaneIndex &index) {
    const LaneValue at = m.address(type, index);
    if (fetches && at.affine() && at.step == 1)
      emitPrefetch(m.e, m.e.offset(m.pointerTo(type, memory, at), ahead.bytes), ahead.cache);
    return m.load(type, memory, index);
  });
}

void emitStreamed(KernelContext &k, const std::function<void(bool streams)> &body) {
  if (bytesMoved(k) < kStreamedBytes)
    return body(false);
  Emit &e = k.e;
  auto streamed = [&] {
    body(true);
    if (llvm::Triple(e.target.triple).isX86()) // elsewhere these stores are ordered as all others
      e.b.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
  };
  emitIf(e, areApart(k), streamed, [&] { body(false); });
}

} // namespace gradc
