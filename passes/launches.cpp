// Lets independent kernels share a launch of a CUDA program.
//
//   %u = kernel(%w, %dy, %x) {kind = contract, schedule = {…, threads = 256}} …   // the update of a weight
//   %d = kernel(%dy) {kind = rows} …                                              // its layer's bias gradient
//   %e = kernel(%dy, %v) {kind = contract, schedule = {…, threads = 256}} …       // the gradient of its input
// becomes
//   %u = kernel(%w, %dy, %x) {kind = contract, schedule = …, launch = 0} …
//   %d = kernel(%dy) {kind = rows, launch = 0} …
//   %e = kernel(%dy, %v) {kind = contract, schedule = …, launch = 0} …
//
// A launch takes some microseconds, and one small kernel leaves most of a device idle. Each kernel goes to the first
// launch that comes after all that it needs: after those that make its operands and, where it makes the new value of
// a variable, after those that read the old one, so that plan-memory may update it in place. Kernels of one launch
// become neighbours, views follow what they view. Of two kernels of two steps one may come a level later to share both
// launches. A kernel whose schedule names cublas or another number of threads than kSharedThreads runs alone.
//
// plan-memory takes the kernels of a launch as running at the same moment, and the plan verifier checks that no two of
// them meet in memory. So runs after schedule-cuda, before plan-memory; a function that has a plan is left alone.
// Exact.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "ir/op.h"
#include "ir/plan.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

/// Threads of a block that all kernels have which share launches (kCudaThreads of codegen).
constexpr int64_t kSharedThreads = 256;

bool mayShare(const Function &fn, OpId kernel) {
  const Attr *attr = fn[kernel].attrs.find("schedule");
  const Dict *schedule = attr ? attr->as<Dict>() : nullptr;
  if (!schedule)
    return true;
  if (const Attr *threads = schedule->find("threads"); threads && !(*threads == Attr(kSharedThreads)))
    return false;
  const Attr *algorithm = schedule->find("algorithm");
  return !algorithm || !(*algorithm == Attr(Keyword{"cublas"}));
}

/// Partial sums are added, or filters packed, by a step of their own; arguments are packed before all kernels.
bool takesTwoSteps(const Function &fn, OpId kernel) {
  const Attr *attr = fn[kernel].attrs.find("schedule");
  const Dict *schedule = attr ? attr->as<Dict>() : nullptr;
  const Attr *form = schedule ? schedule->find("form") : nullptr;
  if (!form || !(*form == Attr(Keyword{"tiles"})))
    return false;
  return (schedule->flag("pack") && !multipliesByArgument(fn, kernel)) ||
         (schedule->has("order") && !schedule->flag("in_turn")) || schedule->has("split");
}

class Launches {
public:
  Launches(Function &fn, PassContext &context) : fn_(fn), context_(context), before_(fn.numOps()) {}

  bool run() {
    findOrder();
    findLevels();
    pairTwoSteps();
    return write();
  }

private:
  /// What must run before each op: what makes its operands, and readers of a variable before its update, where that
  /// is possible.
  void findOrder() {
    for (OpId op : fn_.body().ops)
      for (ValueId v : fn_[op].operands)
        if (fn_[v].def != kNoOp)
          before_[index(op)].push_back(fn_[v].def);
    for (size_t i = 0; i < fn_.resultAttrs.size(); ++i)
      if (const SymbolRef *variable = variableOf(fn_.resultAttrs[i]))
        orderUpdate(fn_.body().yields[i], *variable);
  }

  void orderUpdate(ValueId updated, const SymbolRef &variable) {
    const OpId writer = fn_[updated].def;
    if (writer == kNoOp)
      return;
    std::vector<OpId> readers;
    for (OpId op : fn_.body().ops)
      for (ValueId v : fn_[op].operands)
        if (const SymbolRef *read = variableOf(fn_[rootOfViews(fn_, v)].attrs);
            read && *read == variable && op != writer && !isView(fn_, op))
          readers.push_back(op);
    if (std::ranges::none_of(readers, [&](OpId reader) { return comesAfter(reader, writer); }))
      before_[index(writer)].insert(before_[index(writer)].end(), readers.begin(), readers.end());
  }

  bool comesAfter(OpId op, OpId other) const {
    return gradc::comesAfter(
        fn_, op, [&](OpId at) -> const std::vector<OpId> & { return before_[index(at)]; },
        [&](OpId at) { return at == other; });
  }

  // ---- levels: kernels of one level are independent

  void findLevels() {
    level_.resize(fn_.numOps());
    for (OpId op : fn_.body().ops)
      (void)levelOf(op);
  }

  /// Of a kernel, how many launches come before it at least; of a view, that of what it views, -1 where it is an
  /// argument.
  int64_t levelOf(OpId op) {
    if (level_[index(op)])
      return *level_[index(op)];
    int64_t latest = -1;
    for (OpId before : before_[index(op)])
      latest = std::max(latest, levelOf(before));
    return *(level_[index(op)] = isView(fn_, op) ? latest : latest + 1);
  }

  /// A kernel of two steps takes two launches, and two of them the same two: one that nobody waits for comes a level later
  /// if another is there. No more than that, as its operands stay in memory until then.
  void pairTwoSteps() {
    std::set<OpId> joined;
    for (OpId op : fn_.body().ops) {
      if (!takesTwoSteps(fn_, op) || joined.contains(op) || !mayComeLater(op))
        continue;
      const int64_t later = *level_[index(op)] + 1;
      const auto other = std::ranges::find_if(
          fn_.body().ops, [&](OpId o) { return takesTwoSteps(fn_, o) && *level_[index(o)] == later; });
      if (other == fn_.body().ops.end())
        continue;
      level_[index(op)] = later;
      joined.insert(op);
      joined.insert(*other);
    }
  }

  bool mayComeLater(OpId op) const {
    return std::ranges::none_of(fn_.body().ops, [&](OpId user) {
      const std::vector<OpId> &before = before_[index(user)];
      return *level_[index(user)] <= *level_[index(op)] + 1 && std::ranges::find(before, op) != before.end();
    });
  }

  // ---- the new body

  bool write() {
    const uint64_t before = contentHash(fn_);
    std::map<int64_t, std::vector<OpId>> levels;
    for (OpId op : fn_.body().ops)
      levels[*level_[index(op)]].push_back(op);
    std::vector<OpId> order;
    for (const auto &[level, ops] : levels)
      writeLevel(ops, order);
    fn_.body().ops = std::move(order);
    fn_.compact();
    return contentHash(fn_) != before;
  }

  void writeLevel(const std::vector<OpId> &ops, std::vector<OpId> &order) {
    std::vector<OpId> shared, alone, views;
    for (OpId op : ops)
      (isView(fn_, op) ? views : mayShare(fn_, op) ? shared : alone).push_back(op);
    order.insert(order.end(), alone.begin(), alone.end());
    const auto most = static_cast<size_t>(context_.options.i64("max"));
    for (size_t begin = 0; begin < shared.size(); begin += most)
      writeLaunch(std::span(shared).subspan(begin, std::min(most, shared.size() - begin)), order);
    order.insert(order.end(), views.begin(), views.end());
    for (OpId op : ops)
      if (isView(fn_, op) || !mayShare(fn_, op))
        setLaunch(op, -1);
  }

  void writeLaunch(std::span<const OpId> kernels, std::vector<OpId> &order) {
    const bool several = kernels.size() > 1;
    for (OpId op : kernels)
      setLaunch(op, several ? launches_ : -1);
    order.insert(order.end(), kernels.begin(), kernels.end());
    if (several) {
      ++launches_;
      ++context_.statistics["shared launches"];
      context_.statistics["kernels in shared launches"] += static_cast<int64_t>(kernels.size());
    }
  }

  void setLaunch(OpId op, int64_t launch) {
    Dict attrs = fn_[op].attrs;
    attrs.erase(kLaunchAttr);
    if (launch >= 0)
      attrs.set(kLaunchAttr, launch);
    fn_[op].attrs = *normalizeAttrs(*fn_[op].def, attrs); // in schema order
  }

  Function &fn_;
  PassContext &context_;
  std::vector<std::vector<OpId>> before_;     // by op
  std::vector<std::optional<int64_t>> level_; // by op
  int64_t launches_ = 0;
};

Result<bool> run(Module &module, PassContext &context) {
  if (context.options.i64("max") < 1)
    return std::unexpected(context.diag.error(
        {}, "launches needs at least 1 kernel in a launch, but got max = {}", context.options.i64("max")));
  bool changed = false;
  for (auto &fn : module.functions) {
    const bool kernels =
        std::ranges::all_of(fn->body().ops, [&](OpId op) { return (*fn)[op].def->name == "kernel"; });
    if (kernels && !isPlanned(*fn))
      changed |= Launches(*fn, context).run();
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(launches) {
  return {.name = "launches",
          .doc = "let independent kernels share a launch of a CUDA program",
          .options = {{"max", "most kernels in a launch", int64_t{16}}},
          .run = run};
}
