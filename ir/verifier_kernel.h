// What must hold of an op with a region beyond its types: the arguments are the operands, and the ops inside
// suit the kind of kernel.
#pragma once

#include <string>
#include <vector>

#include "ir/ir.h"

namespace gradc {

/// The rules that kernel `op` breaks.
///
///   map       elementwise ops, movement, windows
///   rows      these, reductions and what else reads along an axis, but no contraction
///   contract  exactly one contraction; what else there is neither reduces nor contracts
///   multi     as map: independent small maps in one launch
std::vector<std::string> kernelErrors(const Function &fn, OpId op);

} // namespace gradc
