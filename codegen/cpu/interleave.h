// Independent pieces of straight-line code whose instructions take turns. A chain of dependent operations, as a
// polynomial is one, keeps a processor waiting for each result; it looks only some dozens of waiting instructions ahead
// for others, which is less than one elementary function has. LLVM keeps the order that it is given.
#pragma once

#include <functional>

#include "codegen/cpu/emit.h"

namespace gradc {

/// Calls piece(0) … piece(count - 1) and mixes what they emit, unless one of them begins a new block.
void emitInterleaved(Emit &e, int64_t count, const std::function<void(int64_t)> &piece);

} // namespace gradc
