// What the ops are to fusion: which are cheap, which read memory, which take no part.
#pragma once

#include <optional>
#include <vector>

#include "passes/fuse_analysis.h"

namespace gradc {

/// Computed again in every kernel that reads through it: trait cheap but random bits, and small constants.
bool isCheap(const Function &fn, const OpData &op);
/// A parameter rounded to bf16: the products that read it do so while they pack it, which costs less than a copy in
/// memory.
bool isPackedCast(const Function &fn, ValueId v);
/// reduce_* and argmax.
bool isReduce(const OpData &op);
/// Reads its operands at other elements than the one it computes, many times: they must lie in memory.
bool readsMemory(const OpData &op);
/// Why an op takes no part in fusion at all.
std::optional<Refusal> refusesAll(const Function &fn, const OpData &op);

/// 0, 1, …, rank - 1
std::vector<int64_t> identityAxes(int rank);

} // namespace gradc
