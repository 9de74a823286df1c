// What rewriting passes share.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/builder.h"
#include "ir/ir.h"
#include "ir/op.h"

namespace gradc {

/// Says what stands for the results of an op: nothing (the op stays), or one value per result. It builds new ops
/// with the builder, which stands where the op stood and has its location and name.
using Rewrite = std::function<std::optional<std::vector<ValueId>>(OpId, Builder &)>;

/// Visits all ops in order (those in kernels too) with operands already rewritten. New ops are not visited again.
/// A new op takes over the name of what it stands for. Compacts; returns whether an op was replaced.
bool rewriteOps(Function &fn, const Rewrite &rewrite);

/// Whether v is the result of that op.
bool isResultOf(const Function &fn, ValueId v, std::string_view op);

/// Gives the name of `from` to `to`, if `to` is the result of an op.
void takeName(Function &fn, ValueId from, ValueId to);

/// Builds the composite op out of others and returns what stands for its results. The op stays.
std::vector<ValueId> expandOp(Function &fn, OpId op, Builder &b);

/// The tensor of a `constant` op with an inline literal, or null.
const Tensor *constantOf(const Function &fn, ValueId v);

/// The one value that all elements of v have, where v is a constant of equal elements or a broadcast, reshape
/// or transpose of one.
std::optional<Tensor> splatOf(const Function &fn, ValueId v); // of rank 0

/// Drops ops whose results nobody uses and that have no effect; returns how many.
int64_t dropDeadOps(Function &fn);

/// The places of both, each once.
Location fuseLocations(const Location &a, const Location &b);

} // namespace gradc
