// Joins the two gradients of a dense layer whose weights lie in n16 into one kernel, which goes through the weights once:
// towards the input it needs their old values, which the update then replaces.
//
//   %dx = kernel(%dy, %w) {kind = contract} { … matmul(%dy, %w) … }
//   %v1, %w1 = kernel(%dy, %x, %v, %w) {kind = contract} { … matmul(%dy, %x) {transpose_a = true} … }
// becomes
//   %dx, %v1, %w1 = kernel(%dy, %w, %x, %v) {kind = pair} {
//       … matmul(%dy, %w) …
//       … matmul(%dy, %x) {transpose_a = true} …
//   }
//
// Why: such weights are far larger than the caches, and memory is what both kernels wait for (docs/kernels.md). Only
// kernels that can run side by side are joined, and only where what is updated has no other reader behind them, as that would
// need a copy of the old values.
//
// Runs on kernels, so after outline, and before schedule. Exact: both sums keep their order.
#include <algorithm>
#include <map>

#include "ir/contraction.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

class Pairing {
public:
  explicit Pairing(Function &fn) : fn_(fn) {
    for (size_t i = 0; i < ops().size(); ++i) {
      for (ValueId v : fn[ops()[i]].results)
        madeAt_[v] = i;
      for (ValueId v : fn[ops()[i]].operands)
        readAt_[v].push_back(i);
    }
  }

  /// Joins the first pair; false: there is none.
  bool joinOne() {
    for (size_t first = 0; first < ops().size(); ++first)
      if (const std::optional<Partner> partner = partnerOf(first)) {
        const OpId joined = joinKernels(fn_, ops()[first], ops()[partner->kernel], "pair");
        const size_t other = partner->place == first ? partner->kernel : first;
        fn_.body().ops[partner->place] = joined;
        fn_.body().ops.erase(ops().begin() + static_cast<std::ptrdiff_t>(other));
        return true;
      }
    return false;
  }

private:
  const std::vector<OpId> &ops() const { return fn_.body().ops; }

  /// The kernel's contraction, if it is one of that kind, else kNoOp.
  OpId contractionOf(OpId kernel, bool (*isOfKind)(const Function &, OpId)) const {
    if (fn_[kernel].regions.empty() || fn_[kernel].attrs.str("kind") != "contract" ||
        fn_[kernel].attrs.has("schedule"))
      return kNoOp;
    const OpId contraction = findContraction(fn_, fn_[kernel].regions[0]);
    return contraction != kNoOp && isOfKind(fn_, contraction) ? contraction : kNoOp;
  }

  /// What the kernel gets for an operand of its contraction.
  ValueId outside(OpId kernel, OpId contraction, int operand) const {
    const std::vector<ValueId> &args = fn_[fn_[kernel].regions[0]].args;
    const auto arg = std::ranges::find(args, fn_[contraction].operands[operand]);
    return arg == args.end() ? kNoValue : fn_[kernel].operands[static_cast<size_t>(arg - args.begin())];
  }

  struct Partner {
    size_t kernel, place; // positions: of the kernel that makes the weights' gradient, and where both can run
  };

  std::optional<Partner> partnerOf(size_t first) const {
    const OpId toInput = contractionOf(ops()[first], isPackedInputGradient);
    if (toInput == kNoOp)
      return std::nullopt;
    const ValueId gradient = outside(ops()[first], toInput, 0), weights = outside(ops()[first], toInput, 1);
    for (size_t second = first + 1; second < ops().size(); ++second) {
      const OpId toWeights = contractionOf(ops()[second], isPackedWeightGradient);
      if (toWeights == kNoOp || outside(ops()[second], toWeights, 0) != gradient ||
          std::ranges::count(fn_[ops()[second]].operands, weights) == 0)
        continue;
      if (canHurry(ops()[second], first) && mayOverwrite(second, first))
        return Partner{second, first};
      if (canWait(ops()[first], second) && mayOverwrite(second, second))
        return Partner{second, second};
    }
    return std::nullopt;
  }

  /// All that the kernel reads is made before `to`.
  bool canHurry(OpId kernel, size_t to) const {
    return std::ranges::all_of(fn_[kernel].operands, [&](ValueId v) {
      const auto made = madeAt_.find(v);
      return made == madeAt_.end() || made->second < to;
    });
  }

  /// Nobody needs what the kernel makes before `to`.
  bool canWait(OpId kernel, size_t to) const {
    return std::ranges::all_of(fn_[kernel].results, [&](ValueId v) {
      const auto readers = readAt_.find(v);
      return readers == readAt_.end() ||
             std::ranges::all_of(readers->second, [&](size_t reader) { return reader > to; });
    });
  }

  /// Nobody behind `place` reads the variables that the kernel does, whose old values may be gone there.
  bool mayOverwrite(size_t kernel, size_t place) const {
    auto isEarly = [&](size_t reader) { return reader <= place || reader == kernel; };
    return std::ranges::all_of(fn_[ops()[kernel]].operands, [&](ValueId v) {
      return !fn_[v].attrs.has("var") || std::ranges::all_of(readAt_.at(v), isEarly);
    });
  }

  Function &fn_;
  std::map<ValueId, size_t> madeAt_; // positions
  std::map<ValueId, std::vector<size_t>> readAt_;
};

Result<bool> run(Module &module, PassContext &context) {
  int64_t pairs = 0;
  for (auto &fn : module.functions) {
    const int64_t before = pairs;
    while (Pairing(*fn).joinOne())
      ++pairs;
    if (pairs != before)
      fn->compact();
  }
  context.statistics["pairs of gradients"] += pairs;
  return pairs != 0;
}

} // namespace
} // namespace gradc

GRADC_PASS(pair) {
  return {.name = "pair",
          .doc = "join the two gradients of a dense layer of packed weights into one kernel",
          .run = run};
}
