// Kernels that walk through more memory than the caches hold: what they read is asked for ahead of its use, and what no
// cache keeps until it is read goes to memory past the caches.
#pragma once

#include <functional>

#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// The line that is asked for when one is read: so many bytes behind it, into that cache.
struct Ahead {
  int64_t bytes;
  Cache cache;
};
constexpr Ahead kAheadInOrder{2048, Cache::L1};
/// Columns that are read from above to below find their neighbours, which come next, in the second cache: lines of
/// neighbouring rows often compete for one set of the first.
constexpr Ahead kAheadAcross{kCacheLine, Cache::L2};

/// Binds the memory of an operand of a kernel that walks through `space`. Where the operand is walked so, too, and does
/// not come from the core's own cache, each vector that is loaded while `fetches` holds asks for one that is read later.
/// Processors look ahead as well, but no further than the next few hundred instructions.
void bindWalked(ElementEmitter &m, const KernelContext &k, ValueId arg, llvm::Value *memory,
                const Type &space, const bool &fetches, Ahead ahead = kAheadInOrder);

/// Emits the body, which stores past the caches where `streams` is true (ElementEmitter::streams). For a kernel that
/// moves very much it is emitted twice, for results that lie on lines of their own and for others, as one that takes
/// the place of an operand: its lines have just been read. What the kernel has stored is seen by whoever sees its end.
void emitStreamed(KernelContext &k, const std::function<void(bool streams)> &body);

} // namespace gradc
