// Lets neighbouring kernels take turns over the examples of a batch.
//
//   %s = kernel(%q, %k) {kind = contract} …   // scores of attention: 17 MB that the next kernel reads
//   %p = kernel(%s) {kind = rows} …           // their softmax: 17 MB
//   %m = kernel(%p, %v) {kind = contract} …
// becomes
//   %s = kernel(%q, %k) {kind = contract, turn = 0} …
//   %p = kernel(%s) {kind = rows, turn = 0} …
//   %m = kernel(%p, %v) {kind = contract, turn = 0} …
//
// Kernels of one turn run for an example one after the other, so that what they hand on, which is too large for a cache,
// is there for one example. Neighbours have a turn where each can be cut by the same examples and needs of what the
// others make only the same ones (ir/turns.h), and where they hand on so much that it pays. No kernel moves.
//
// plan-memory takes the kernels of a turn as running at the same moment, and the plan verifier checks that no two of
// them meet in memory. So runs after schedule, before plan-memory; a function that has a plan is left alone. Exact.
#include <algorithm>
#include <span>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "ir/turns.h"
#include "passes/pass.h"

namespace gradc {
namespace {

/// An example of all that is handed on has to stay in a core's cache beside the rest.
constexpr int64_t kMostOfExample = 1 << 20;

class Turns {
public:
  Turns(Function &fn, PassContext &context) : fn_(fn), context_(context) {}

  bool run() {
    const std::vector<OpId> ops = fn_.body().ops;
    for (size_t begin = 0, end = 0; begin < ops.size(); begin = std::max(end, begin + 1)) {
      end = begin;
      while (end < ops.size() && joins(ops[end], std::span(ops).subspan(begin, end - begin)))
        ++end;
      if (end - begin > 1 && pays(std::span(ops).subspan(begin, end - begin)))
        write(std::span(ops).subspan(begin, end - begin));
    }
    return turns_ > 0;
  }

private:
  static bool makes(const Function &fn, std::span<const OpId> kernels, ValueId v) {
    return fn[v].def != kNoOp && std::ranges::find(kernels, fn[v].def) != kernels.end();
  }

  bool joins(OpId op, std::span<const OpId> kernels) const {
    const int64_t examples = examplesOf(fn_, op);
    if (examples < 2 || (!kernels.empty() && examples != examplesOf(fn_, kernels.front())))
      return false;
    const std::vector<ValueId> &operands = fn_[op].operands;
    for (size_t i = 0; i < operands.size(); ++i)
      if (makes(fn_, kernels, operands[i]) && !followsExamples(fn_, op, static_cast<int>(i)))
        return false;
    return true;
  }

  bool pays(std::span<const OpId> kernels) const {
    int64_t bytes = 0;
    for (OpId op : kernels)
      for (ValueId v : fn_[op].results)
        if (std::ranges::any_of(kernels, [&](OpId user) {
              return std::ranges::find(fn_[user].operands, v) != fn_[user].operands.end();
            }))
          bytes += storageBytes(fn_.type(v));
    return bytes >= context_.options.i64("least") &&
           bytes / examplesOf(fn_, kernels.front()) <= kMostOfExample;
  }

  void write(std::span<const OpId> kernels) {
    for (OpId op : kernels) {
      Dict attrs = fn_[op].attrs;
      attrs.set(kTurnAttr, turns_);
      fn_[op].attrs = *normalizeAttrs(*fn_[op].def, attrs); // in schema order
    }
    ++turns_;
    ++context_.statistics["turns"];
    context_.statistics["kernels in turns"] += static_cast<int64_t>(kernels.size());
  }

  Function &fn_;
  PassContext &context_;
  int64_t turns_ = 0;
};

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions) {
    const bool kernels =
        std::ranges::all_of(fn->body().ops, [&](OpId op) { return (*fn)[op].def->name == "kernel"; });
    const bool given = std::ranges::any_of(fn->body().ops, [&](OpId op) { return turnOf(*fn, op) >= 0; });
    if (kernels && !given && !isPlanned(*fn))
      changed |= Turns(*fn, context).run();
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(turns) {
  return {.name = "turns",
          .doc = "let kernels that hand on much take turns over the examples",
          .options = {{"least", "bytes handed on from which on it pays", int64_t{4} << 20}},
          .run = run};
}
