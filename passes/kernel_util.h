// Making `kernel` ops out of ops of a function's body.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/ir.h"
#include "passes/pass.h"

namespace gradc {

/// The kind that fits these ops: contract, rows or map.
std::string_view kernelKind(const Function &fn, std::span<const OpId> ops);

/// Appends to the builder's region a kernel that holds clones of `ops` (in program order) and yields
/// `yields`. What they use from outside becomes operands, looked up in `map`; the kernel's results are
/// entered there and take over the names of what they stand for.
OpId buildKernel(Builder &b, std::span<const OpId> ops, std::span<const ValueId> yields, ValueMap &map);

/// A kernel that does what two do, the first one's ops first, and whose results replace theirs. Not linked into the body.
OpId joinKernels(Function &fn, OpId first, OpId second, std::string_view kind);

/// Appends a kernel to the body that copies a value; returns the copy.
ValueId copyKernel(Function &fn, ValueId v);

/// Gives each kernel of the function the schedule that `scheduleOf` makes for it, where that is not empty; counts in the
/// statistics, and returns whether one changed.
bool setSchedules(Function &fn, PassContext &context, const std::function<Dict(OpId kernel)> &scheduleOf);

/// Names the algorithm in the schedule of each kernel that has none and whose contraction it `applies` to. Counts them in
/// the statistics, under `counted`, and returns whether there was one.
bool nameAlgorithms(Module &module, PassContext &context, std::string_view algorithm,
                    const std::string &counted,
                    const std::function<bool(const Function &, OpId contraction)> &applies);

/// Adds the order in which a contraction or reduction sums, where that is not one chain, to a kernel's schedule.
void addOrder(const Function &fn, OpId op, Dict &schedule);

/// What a kernel gets for an argument of its region; kNoValue for what it makes itself.
ValueId outsideOf(const Function &fn, OpId kernel, ValueId inner);

/// Whether the right factor of the kernel's contraction is an argument of the function, which nothing has to make first.
bool multipliesByArgument(const Function &fn, OpId kernel);

/// True when `op` can only run after an op for which `isGoal` holds, by what `predecessors` says must run before each.
template <class Predecessors, class Goal>
bool comesAfter(const Function &fn, OpId op, Predecessors &&predecessors, Goal &&isGoal) {
  std::vector<bool> seen(fn.numOps());
  std::vector<OpId> stack{op};
  while (!stack.empty()) {
    const OpId at = stack.back();
    stack.pop_back();
    for (OpId before : predecessors(at)) {
      if (isGoal(before))
        return true;
      if (!seen[index(before)])
        stack.push_back(before);
      seen[index(before)] = true;
    }
  }
  return false;
}

} // namespace gradc
