#include "codegen/cpu/loops/streaming.h"

#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/TargetParser/Triple.h"

#include "codegen/cpu/contract/register_tile.h"
#include "ir/layout.h"

namespace gradc {
namespace {

/// Twice what a core finds again in the last cache. A stored line is read first and written later, so that stores past
/// the caches move two thirds; below this they would send to memory what the next kernel reads.
constexpr int64_t kStreamedBytes = int64_t{128} << 20;
constexpr int64_t kLineBytes = 64;

/// How far ahead a line is asked for.
constexpr int64_t kAheadBytes = 2048;

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
    llvm::Value *within = b.CreateAnd(b.CreatePtrToInt(result, b.getInt64Ty()), kLineBytes - 1);
    holds = b.CreateAnd(holds, b.CreateICmpEQ(within, k.e.i64(0)));
    for (size_t arg = 0; arg < k.body().args.size(); ++arg)
      holds = b.CreateAnd(holds, b.CreateICmpNE(result, k.e.buffer(k.operandBuffer(static_cast<int>(arg)))));
  }
  return holds;
}

} // namespace

void bindWalked(ElementEmitter &m, const KernelContext &k, ValueId arg, llvm::Value *memory,
                const Type &space, const bool &first) {
  const Type &type = k.fn.type(arg);
  if (type.shape != space.shape || type.layout != space.layout || bytesMoved(k) <= k.e.target.l2Bytes / 2)
    return m.bindBuffer(arg, memory);
  m.bindValue(arg, [&m, &first, type, memory](const LaneIndex &index) {
    const LaneValue at = m.address(type, index);
    if (first && at.affine() && at.step == 1) {
      const auto size = static_cast<int64_t>(dtypeSize(type.dtype));
      emitPrefetch(m.e, m.e.offset(memory, m.e.add(m.e.mul(at.base, size), m.e.i64(kAheadBytes))), Cache::L1);
    }
    return m.load(type, memory, index);
  });
}

void emitStreamed(KernelContext &k, const std::function<void(bool streams)> &body) {
  if (bytesMoved(k) < kStreamedBytes)
    return body(false);
  Emit &e = k.e;
  auto block = [&](const char *name) {
    return llvm::BasicBlock::Create(e.module.getContext(), name, e.function());
  };
  llvm::BasicBlock *apart = block("apart"), *together = block("together"), *done = block("end");
  e.b.CreateCondBr(areApart(k), apart, together);
  e.b.SetInsertPoint(apart);
  body(true);
  if (llvm::Triple(e.target.triple).isX86()) // elsewhere these stores are ordered as all others
    e.b.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
  e.b.CreateBr(done);
  e.b.SetInsertPoint(together);
  body(false);
  e.b.CreateBr(done);
  e.b.SetInsertPoint(done);
}

} // namespace gradc
