// Everything that must hold of a module: SSA dominance, types equal to what the op's rule infers, legal
// attributes and layouts, names unique, `var` annotations that match declarations, kernels whose kind fits
// their region. Reports every violation it finds.
#pragma once

#include "ir/ir.h"

namespace gradc {

Result<void> verify(const Module &module, Diagnostics &diag);
Result<void> verify(const Module &module, const Function &fn, Diagnostics &diag);

} // namespace gradc
