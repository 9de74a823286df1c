// Sums rows before they are multiplied by a matrix, instead of after: the mean over tokens of a linear layer is the
// layer of the mean, which has fewer rows.
//
//   %h = dense(%x, %w, %b) : f32[64,128,256]
//   %y = add(%r, %h) : f32[64,128,256]
//   %m = reduce_mean(%y) {axes = [1]} : f32[64,256]
// becomes
//   %m~1 = reduce_mean(%r) {axes = [1]} : f32[64,256]
//   %m~2 = reduce_mean(%x) {axes = [1]} : f32[64,1024]
//   %h = dense(%m~2, %w, %b) : f32[64,256]
//   %m = add(%m~1, %h) : f32[64,256]
//
// It always pays: a term of the sum costs one addition, an element of the product two operations for each column. Not
// where something else reads the product or what was added to it, as both would be computed then.
//
// Runs before autodiff, so that the gradients are those of the small product. The value is the same up to rounding, where
// no number is infinite; the order of additions is still a function of shapes alone.
#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

class Reassociator {
public:
  Reassociator(Function &fn, PassContext &context) : fn_(fn), context_(context), uses_(fn.countUses()) {}

  std::optional<std::vector<ValueId>> operator()(OpId op, Builder &b) const {
    const std::string_view name = fn_[op].def->name;
    if (name != "reduce_mean" && name != "reduce_sum")
      return std::nullopt;
    const OpData reduction = fn_[op]; // a copy: the arena grows
    const std::vector<int64_t> axes = reduction.attrs.ints("axes");
    const ValueId x = reduction.operands[0];
    if (axes.empty() || axes.back() == fn_.type(x).rank() - 1 || !savesRows(x, reduction))
      return std::nullopt;
    if (context_.remarks)
      context_.diag.remark(reduction.loc, "%{}: rows are summed before they are multiplied",
                           fn_[reduction.results[0]].name);
    return std::vector{reduce(x, reduction, b)};
  }

private:
  bool isSum(ValueId v) const { return isResultOf(fn_, v, "add") || isResultOf(fn_, v, "sub"); }
  /// Rows by a matrix, of which `reduction` leaves at least the one that the op needs. Rows of bf16 have no sums in bf16.
  bool isProductOfRows(ValueId v, const OpData &reduction) const {
    if (!isResultOf(fn_, v, "matmul"))
      return isResultOf(fn_, v, "dense");
    const OpData &product = fn_[fn_[v].def];
    return fn_.type(product.operands[0]).dtype == fn_.type(v).dtype &&
           fn_.type(product.operands[1]).rank() == 2 && !product.attrs.flag("transpose_a") &&
           fn_.type(reduction.results[0]).rank() >= 2;
  }

  /// Whether there is a product behind v that nobody would miss.
  bool savesRows(ValueId v, const OpData &reduction) const {
    if (index(v) >= uses_.size() || uses_[index(v)] != 1)
      return false;
    if (!isSum(v))
      return isProductOfRows(v, reduction);
    const std::vector<ValueId> &terms = fn_[fn_[v].def].operands;
    return savesRows(terms[0], reduction) || savesRows(terms[1], reduction);
  }

  /// The sum or mean of v, taken as early as it pays.
  ValueId reduce(ValueId v, const OpData &reduction, Builder &b) const {
    if (!savesRows(v, reduction)) {
      b.at(reduction.loc).named(fn_[reduction.results[0]].name);
      return b.create(reduction.def->name, {v}, reduction.attrs);
    }
    const OpData op = fn_[fn_[v].def];
    std::vector<ValueId> operands = op.operands;
    operands[0] = reduce(operands[0], reduction, b);
    if (isSum(v))
      operands[1] = reduce(operands[1], reduction, b);
    else
      ++context_.statistics["products of fewer rows"];
    b.at(op.loc).named(fn_[v].name);
    if (operands.size() == 3 && reduction.def->name == "reduce_sum") // each row has brought its bias
      operands[2] = b.scale(operands[2], static_cast<double>(fn_.type(op.operands[0]).elements()) /
                                             static_cast<double>(fn_.type(operands[0]).elements()));
    const ValueId early = b.create(op.def->name, std::move(operands), op.attrs);
    takeName(fn_, v, early); // v is dead
    return early;
  }

  Function &fn_;
  PassContext &context_;
  std::vector<uint32_t> uses_; // before anything changed
};

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    if (rewriteOps(*fn, Reassociator(*fn, context))) {
      dropDeadOps(*fn);
      changed = true;
    }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(reassociate) {
  return {.name = "reassociate",
          .doc = "sum rows before they are multiplied by a matrix, not after",
          .exactness = Exactness::Rounding,
          .run = run};
}
