// Making `kernel` ops out of ops of a function's body.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/ir.h"

namespace gradc {

/// The kind that fits these ops: contract, rows or map.
std::string_view kernelKind(const Function &fn, std::span<const OpId> ops);

/// Appends to the builder's region a kernel that holds clones of `ops` (in program order) and yields
/// `yields`. What they use from outside becomes operands, looked up in `map`; the kernel's results are
/// entered there and take over the names of what they stand for.
OpId buildKernel(Builder &b, std::span<const OpId> ops, std::span<const ValueId> yields, ValueMap &map);

/// Appends a kernel to the body that copies a value; returns the copy.
ValueId copyKernel(Function &fn, ValueId v);

} // namespace gradc
