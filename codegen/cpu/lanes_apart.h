// Lanes that lie a few elements apart in memory.
#pragma once

#include <functional>

#include "codegen/cpu/emit.h"

namespace gradc {

/// Up to this distance, loading what lies between the lanes beats a gather.
inline constexpr int64_t kMostApart = 4;

/// Elements 0, step, 2·step, … as the first `lanes` lanes, the others zero. `load(first)` gives 16 neighbours from element
/// `first` on; those behind the last lane's element are not used.
llvm::Value *emitLanesApart(Emit &e, llvm::FixedVectorType *type, int64_t step, int lanes,
                            const std::function<llvm::Value *(int64_t first)> &load);

} // namespace gradc
