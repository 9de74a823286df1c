// Copies of blocks of a matrix, and their announcement to the caches.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// `lines` runs of memory, `pitch` bytes apart.
struct MemoryBlock {
  llvm::Value *start = nullptr;
  int64_t pitch = 0;
};

/// target[i][j] = source[i][j] of f32, for `runs` runs of `length` elements.
void emitBlockCopy(Emit &e, const MemoryBlock &source, const MemoryBlock &target, llvm::Value *runs,
                   llvm::Value *length);

/// Fetches cache lines first .. first + count - 1 of a block, whose runs have `lines` of them, into the second cache.
void emitBlockPrefetch(Emit &e, const MemoryBlock &block, int64_t lines, llvm::Value *first, int64_t count);

} // namespace gradc
