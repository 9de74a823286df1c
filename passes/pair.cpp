// Joins the two gradients of a dense layer whose weights lie in n16 into one kernel, which goes through the weights
// once: towards the input it needs their old values, which the update then replaces.
//
//   %dx = kernel(%dy, %w) {kind = contract} { … matmul(%dy, %w) … }
//   %v1, %w1 = kernel(%dy, %x, %v, %w) {kind = contract} { … matmul(%dy, %x) {transpose_a = true} … }
// becomes
//   %dx, %v1, %w1 = kernel(%dy, %w, %x, %v) {kind = pair} {
//       … matmul(%dy, %w) …
//       … matmul(%dy, %x) {transpose_a = true} …
//   }
//
// Why: such weights are far larger than the caches, as the pass layout packs no others, and memory is what both
// kernels wait for (docs/kernels.md). Only kernels that can run side by side are joined, and only where what is
// updated has no other reader behind them, as that would need a copy of the old values.
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

  /// The kernel's contraction, if it is one of that kind and makes all that the kernel yields; else kNoOp.
  OpId contractionOf(OpId kernel, bool (*isOfKind)(const Function &, OpId)) const {
    const OpData &op = fn_[kernel];
    if (op.regions.empty() || op.attrs.str("kind") != "contract" || op.attrs.has("schedule") ||
        op.attrs.has("place"))
      return kNoOp;
    const OpId contraction = findContraction(fn_, op.regions[0]);
    if (contraction == kNoOp || !isOfKind(fn_, contraction))
      return kNoOp;
    const std::vector<bool> made = descendants(fn_, op.regions[0], contraction);
    const bool all =
        std::ranges::all_of(fn_[op.regions[0]].yields, [&](ValueId v) { return made[index(v)]; });
    return all ? contraction : kNoOp;
  }

  ValueId outside(OpId kernel, OpId contraction, int operand) const {
    return outsideOf(fn_, kernel, fn_[contraction].operands[operand]);
  }

  struct Partner {
    size_t kernel, place; // positions: of the kernel that makes the weights' gradient, and where both can run
  };

  std::optional<Partner> partnerOf(size_t first) const {
    const OpId toInput = contractionOf(ops()[first], isPackedInputGradient);
    if (toInput == kNoOp)
      return std::nullopt;
    const ValueId gradient = outside(ops()[first], toInput, 0), weights = outside(ops()[first], toInput, 1);
    if (gradient == kNoValue || weights == kNoValue || gradient == weights)
      return std::nullopt;
    for (size_t second = first + 1; second < ops().size(); ++second) {
      const OpId toWeights = contractionOf(ops()[second], isPackedWeightGradient);
      if (toWeights == kNoOp || outside(ops()[second], toWeights, 0) != gradient ||
          outside(ops()[second], toWeights, 1) == kNoValue ||
          !(fn_.type(fn_[toWeights].results[0]) == fn_.type(weights)) || !reads(ops()[second], weights) ||
          !leavesAlone(ops()[second], ops()[first], toInput))
        continue;
      if (canHurry(ops()[second], first) && mayOverwrite(second, first))
        return Partner{second, first};
      if (canWait(first, second) && mayOverwrite(second, second))
        return Partner{second, second};
    }
    return std::nullopt;
  }

  bool reads(OpId kernel, ValueId v) const { return std::ranges::count(fn_[kernel].operands, v) != 0; }
  bool isVariable(ValueId v) const { return fn_[v].attrs.has("var"); }

  /// What the kernel may overwrite is read by the first one in its product alone, not by what hangs on that: the product
  /// of a block of weights is there before they are written, what hangs on it is computed at the end.
  bool leavesAlone(OpId kernel, OpId first, OpId product) const {
    const RegionData &region = fn_[fn_[first].regions[0]];
    return std::ranges::all_of(fn_[kernel].operands, [&](ValueId v) {
      if (!isVariable(v) || !reads(first, v))
        return true;
      int64_t uses = 0;
      for (size_t i = 0; i < region.args.size(); ++i)
        if (fn_[first].operands[i] == v)
          for (OpId op : region.ops)
            uses += std::ranges::count(fn_[op].operands, region.args[i]);
      return uses == 1 && outside(first, product, 1) == v;
    });
  }

  /// All that the kernel reads is made before `to`.
  bool canHurry(OpId kernel, size_t to) const {
    return std::ranges::all_of(fn_[kernel].operands, [&](ValueId v) {
      const auto made = madeAt_.find(v);
      return made == madeAt_.end() || made->second < to;
    });
  }

  /// Nobody up to `to` needs what the kernel at `from` makes, or reads the variables that it does, and may write them.
  bool canWait(size_t from, size_t to) const {
    auto hasReaders = [&](ValueId v, size_t end) {
      const auto readers = readAt_.find(v);
      return readers != readAt_.end() && std::ranges::any_of(readers->second, [&](size_t reader) {
               return reader > from && reader < end;
             });
    };
    const OpData &kernel = fn_[ops()[from]];
    return std::ranges::none_of(kernel.results, [&](ValueId v) { return hasReaders(v, to + 1); }) &&
           std::ranges::none_of(kernel.operands,
                                [&](ValueId v) { return isVariable(v) && hasReaders(v, to); });
  }

  /// Nobody behind `place` reads the variables that the kernel does, whose old values may be gone there.
  bool mayOverwrite(size_t kernel, size_t place) const {
    auto isEarly = [&](size_t reader) { return reader <= place || reader == kernel; };
    return std::ranges::all_of(fn_[ops()[kernel]].operands, [&](ValueId v) {
      return !isVariable(v) || std::ranges::all_of(readAt_.at(v), isEarly);
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
