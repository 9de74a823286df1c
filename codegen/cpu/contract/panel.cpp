#include "codegen/cpu/contract/panel.h"

#include "codegen/cpu/transpose.h"

namespace gradc {

namespace {

constexpr int64_t kFloat = 4;

} // namespace

void emitBlockTranspose(Emit &e, llvm::Value *source, int64_t sourcePitch, int rows, int depth,
                        llvm::Value *target, int64_t targetPitch, int lanes) {
  llvm::Type *type = e.vectorType(DType::F32);
  llvm::Constant *zero = llvm::Constant::getNullValue(type);
  const llvm::Align align(kFloat);
  Values vectors(kVectorLanes, zero);
  for (int i = 0; i < rows; ++i) {
    llvm::Value *address = e.offset(source, i * sourcePitch);
    vectors[i] = depth == kVectorLanes
                     ? static_cast<llvm::Value *>(e.b.CreateAlignedLoad(type, address, align))
                     : e.b.CreateMaskedLoad(type, address, align, e.laneMask(depth), zero);
  }
  transpose16(e, vectors);
  for (int k = 0; k < depth; ++k) {
    llvm::Value *place = e.offset(target, k * targetPitch);
    if (lanes == kVectorLanes)
      e.b.CreateAlignedStore(vectors[k], place, align);
    else
      e.b.CreateMaskedStore(vectors[k], place, align, e.laneMask(lanes));
  }
}

void emitPanelTranspose(Emit &e, llvm::Value *source, int64_t sourcePitch, int64_t rows, int64_t depth,
                        llvm::Value *target, int64_t targetPitch) {
  const int64_t blocks = depth / kVectorLanes;
  const int tail = static_cast<int>(depth % kVectorLanes);
  auto strip = [&](llvm::Value *from, llvm::Value *to, int count) {
    if (blocks)
      e.count(blocks, [&](llvm::Value *k) {
        emitBlockTranspose(e, e.offset(from, e.mul(k, kVectorLanes * kFloat)), sourcePitch, count,
                           kVectorLanes, e.offset(to, e.mul(k, kVectorLanes * targetPitch)), targetPitch);
      });
    if (tail)
      emitBlockTranspose(e, e.offset(from, blocks * kVectorLanes * kFloat), sourcePitch, count, tail,
                         e.offset(to, blocks * kVectorLanes * targetPitch), targetPitch);
  };
  const int64_t strips = rows / kVectorLanes;
  if (strips)
    e.count(strips, [&](llvm::Value *i) {
      strip(e.offset(source, e.mul(i, kVectorLanes * sourcePitch)),
            e.offset(target, e.mul(i, kVectorLanes * kFloat)), kVectorLanes);
    });
  if (rows % kVectorLanes)
    strip(e.offset(source, strips * kVectorLanes * sourcePitch),
          e.offset(target, strips * kVectorLanes * kFloat), static_cast<int>(rows % kVectorLanes));
}

void emitPanelCopy(Emit &e, llvm::Value *source, int64_t sourcePitch, int64_t depth, int64_t columns,
                   llvm::Value *target, int64_t targetPitch) {
  llvm::Type *type = e.vectorType(DType::F32);
  llvm::Constant *zero = llvm::Constant::getNullValue(type);
  const llvm::Align align(kFloat);
  e.count(depth, [&](llvm::Value *k) {
    llvm::Value *from = e.offset(source, e.mul(k, sourcePitch)),
                *to = e.offset(target, e.mul(k, targetPitch));
    for (int64_t first = 0; first < columns; first += kVectorLanes) {
      const bool whole = first + kVectorLanes <= columns;
      llvm::Constant *mask = whole ? nullptr : e.laneMask(static_cast<int>(columns - first));
      llvm::Value *address = e.offset(from, first * kFloat), *place = e.offset(to, first * kFloat);
      llvm::Value *vector = whole ? static_cast<llvm::Value *>(e.b.CreateAlignedLoad(type, address, align))
                                  : e.b.CreateMaskedLoad(type, address, align, mask, zero);
      if (whole || (first + kVectorLanes) * kFloat <= targetPitch)
        e.b.CreateAlignedStore(vector, place, align);
      else
        e.b.CreateMaskedStore(vector, place, align, mask);
    }
  });
}

} // namespace gradc
