#include "codegen/cpu/contract/block_copy.h"

#include "codegen/cpu/contract/register_tile.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat;
/// Vectors copied by an iteration.
constexpr int64_t kUnroll = 4;

/// The last elements of a run, fewer than a vector.
void copyTail(Emit &e, llvm::Value *source, llvm::Value *target, llvm::Value *count) {
  llvm::Type *type = e.vectorType(DType::F32);
  llvm::Value *lanes = e.b.CreateStepVector(llvm::FixedVectorType::get(e.b.getInt64Ty(), kVectorLanes));
  llvm::Value *mask = e.b.CreateICmpSLT(lanes, e.splat(count));
  llvm::Value *vector =
      e.b.CreateMaskedLoad(type, source, llvm::Align(kFloat), mask, llvm::Constant::getNullValue(type));
  e.b.CreateMaskedStore(vector, target, llvm::Align(kFloat), mask);
}

void copyVectors(Emit &e, llvm::Value *source, llvm::Value *target, llvm::Value *low, llvm::Value *high,
                 int64_t step) {
  e.loop(low, high, step, [&](llvm::Value *first) {
    for (int64_t i = 0; i < step; ++i) {
      llvm::Value *at = e.mul(e.add(first, e.i64(i)), kVector);
      llvm::Value *vector =
          e.b.CreateAlignedLoad(e.vectorType(DType::F32), e.offset(source, at), llvm::Align(kFloat));
      e.b.CreateAlignedStore(vector, e.offset(target, at), llvm::Align(kFloat));
    }
  });
}

} // namespace

void emitBlockCopy(Emit &e, const MemoryBlock &source, const MemoryBlock &target, llvm::Value *runs,
                   llvm::Value *length) {
  llvm::Value *vectors = e.div(length, kVectorLanes);
  llvm::Value *unrolled = e.mul(e.div(vectors, kUnroll), kUnroll);
  llvm::Value *copied = e.mul(vectors, kVector), *rest = e.mod(length, kVectorLanes);
  e.loop(e.i64(0), runs, 1, [&](llvm::Value *run) {
    llvm::Value *from = e.offset(source.start, e.mul(run, source.pitch)),
                *to = e.offset(target.start, e.mul(run, target.pitch));
    copyVectors(e, from, to, e.i64(0), unrolled, kUnroll);
    copyVectors(e, from, to, unrolled, vectors, 1);
    if (!llvm::isa<llvm::ConstantInt>(rest) || !llvm::cast<llvm::ConstantInt>(rest)->isZero())
      copyTail(e, e.offset(from, copied), e.offset(to, copied), rest);
  });
}

void emitBlockPrefetch(Emit &e, const MemoryBlock &block, int64_t lines, llvm::Value *first, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    llvm::Value *line = e.add(first, e.i64(i));
    llvm::Value *run = e.offset(block.start, e.mul(e.div(line, lines), block.pitch));
    emitPrefetch(e, e.offset(run, e.mul(e.mod(line, lines), kCacheLine)), Cache::L2);
  }
}

} // namespace gradc
