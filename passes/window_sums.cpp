// Sums what the gradient of max pooling has given to pixels over the windows instead: for the bias of a convolution that a
// pool follows, there are fewer of them.
//
//   %p = window_max(%x) {window = [2,2], stride = [2,2]} : f32[64,6,14,14]
//   %d = window_max_grad(%x, %g) {window = [2,2], stride = [2,2]} : f32[64,6,28,28]
//   %c = gt(%x, %zero) : bool[64,6,28,28]
//   %r = select(%c, %d, %zero) : f32[64,6,28,28]
//   %b = reduce_sum(%r) {axes = [0,2,3]} : f32[6]
// becomes
//   %b~1 = gt(%p, %zero~1) : bool[64,6,14,14]
//   %b~2 = select(%b~1, %g, %zero~1) : f32[64,6,14,14]
//   %b = reduce_sum(%b~2) {axes = [0,2,3]} : f32[6]
//
// A window gives its gradient to its largest pixel, whose value is what the pool has stored. So a condition on that pixel
// is one on the pool's result, and what no window gives to is zero and adds nothing.
//
// Pays where windows are so few that reading their gradients and, for a condition, the pool's results is less than
// reading the pixels once. Runs after cse and dce, behind which one value is one name. The sum is the same up to
// rounding; its order is still a function of shapes alone.
#include <algorithm>
#include <map>
#include <set>

#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

class WindowSums {
public:
  WindowSums(Function &fn, PassContext &context) : fn_(fn), context_(context) {}

  std::optional<std::vector<ValueId>> operator()(OpId id, Builder &b) {
    const std::string_view name = fn_[id].def->name;
    if (name == "window_max")
      pools_.push_back(id);
    if (name != "reduce_sum" || !sumsPlanes(fn_[id]))
      return std::nullopt;
    const OpData op = fn_[id]; // a copy: the arena grows
    const std::optional<Gradient> gradient = gradientIn(op.operands[0]);
    if (!gradient || !pays(*gradient, op.operands[0]))
      return std::nullopt;
    ++context_.statistics["sums over windows"];
    if (context_.remarks)
      context_.diag.remark(op.loc, "%{}: summed over the windows of %{}", fn_[op.results[0]].name,
                           fn_[gradient->ofPixels].name);
    Windows windows{.shape = fn_.type(gradient->ofWindows).shape,
                    .values = {{gradient->ofPixels, gradient->ofWindows}}};
    if (gradient->pool)
      windows.values.emplace(gradient->pixels, *gradient->pool);
    return std::vector{b.create("reduce_sum", {atWindows(op.operands[0], windows, b)}, op.attrs)};
  }

private:
  /// A window_max_grad.
  struct Gradient {
    ValueId ofPixels;            // its result …
    ValueId pixels, ofWindows;   // … and operands
    std::optional<ValueId> pool; // window_max of the pixels, where there is one
  };

  /// What values of pixels are for windows in place of them.
  struct Windows {
    Shape shape;
    std::map<ValueId, ValueId> values;
  };

  bool sumsPlanes(const OpData &op) const {
    const std::vector<int64_t> axes = op.attrs.ints("axes");
    const Type &type = fn_.type(op.operands[0]);
    return type.rank() == 4 && type.layout.empty() && std::ranges::count(axes, 2) &&
           std::ranges::count(axes, 3);
  }

  /// The gradient that v has of a pixel, or zero instead; nothing where v is anything else.
  std::optional<Gradient> gradientIn(ValueId v) const {
    if (isResultOf(fn_, v, "window_max_grad")) {
      const OpData &op = fn_[fn_[v].def];
      return Gradient{v, op.operands[0], op.operands[1], poolOf(op)};
    }
    if (!isResultOf(fn_, v, "select"))
      return std::nullopt;
    const OpData &op = fn_[fn_[v].def];
    const bool isFirst = isZero(op.operands[2]);
    if (!isFirst && !isZero(op.operands[1]))
      return std::nullopt;
    const std::optional<Gradient> gradient = gradientIn(op.operands[isFirst ? 1 : 2]);
    if (!gradient)
      return std::nullopt;
    std::set<ValueId> ofPixels = {gradient->pixels};
    return isOf(ofPixels, op.operands[0]) ? gradient : std::nullopt;
  }

  std::optional<ValueId> poolOf(const OpData &gradient) const {
    auto found = std::ranges::find_if(pools_, [&](OpId id) {
      return fn_[id].operands[0] == gradient.operands[0] && fn_[id].attrs == gradient.attrs;
    });
    return found == pools_.end() ? std::nullopt : std::optional(fn_[*found].results[0]);
  }

  bool isZero(ValueId v) const {
    return isRepeatedScalar(v) && splatOf(fn_, v) == Tensor::scalar(fn_.type(v).dtype, 0);
  }

  bool isRepeatedScalar(ValueId v) const {
    return isResultOf(fn_, v, "broadcast") && fn_.type(fn_[fn_[v].def].operands[0]).rank() == 0;
  }

  /// Each element of v is a function of that pixel alone, as those of `known`, to which v is added then.
  bool isOf(std::set<ValueId> &known, ValueId v) const {
    if (known.contains(v) || isRepeatedScalar(v))
      return true;
    const OpId id = fn_[v].def;
    if (id == kNoOp)
      return false;
    const OpData &op = fn_[id];
    if (!op.def->is(kElementwise) || op.operands.empty() || op.results.size() != 1 ||
        !std::ranges::all_of(op.operands, [&](ValueId operand) { return isOf(known, operand); }))
      return false;
    return known.insert(v).second;
  }

  bool pays(const Gradient &gradient, ValueId summed) const {
    const bool isChosen = summed != gradient.ofPixels;
    const int64_t windows = fn_.type(gradient.ofWindows).elements();
    return (!isChosen || gradient.pool) &&
           (isChosen ? 2 : 1) * windows < fn_.type(gradient.ofPixels).elements();
  }

  ValueId atWindows(ValueId v, Windows &windows, Builder &b) const {
    if (auto found = windows.values.find(v); found != windows.values.end())
      return found->second;
    const OpData op = fn_[fn_[v].def];
    std::vector<ValueId> operands;
    if (!isRepeatedScalar(v))
      for (ValueId operand : op.operands)
        operands.push_back(atWindows(operand, windows, b));
    const ValueId result = operands.empty() ? b.broadcast(op.operands[0], windows.shape, {})
                                            : b.create(op.def->name, std::move(operands), op.attrs);
    return windows.values.emplace(v, result).first->second;
  }

  Function &fn_;
  PassContext &context_;
  std::vector<OpId> pools_; // before the op that is visited
};

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    if (rewriteOps(*fn, WindowSums(*fn, context))) {
      dropDeadOps(*fn);
      changed = true;
    }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(window_sums) {
  return {.name = "window-sums",
          .doc = "sum the gradient of max pooling over windows, not over pixels",
          .exactness = Exactness::Rounding,
          .run = run};
}
