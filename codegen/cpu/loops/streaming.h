// Results that no cache keeps until they are read go to memory past the caches.
#pragma once

#include <functional>

#include "codegen/cpu/emit.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// Emits the body, which stores past the caches where `streams` is true (ElementEmitter::streams). For a kernel that
/// moves very much it is emitted twice, for results that lie on lines of their own and for others, as one that takes
/// the place of an operand: its lines have just been read. What the kernel has stored is seen by whoever sees its end.
void emitStreamed(KernelContext &k, const std::function<void(bool streams)> &body);

} // namespace gradc
