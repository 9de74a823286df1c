// Gives every value a place in memory (ir/plan.h): results of the function at result:N, updated variables at
// var:@name, everything else in one arena whose size is printed.
//
//   func @f(%w: f32[4] {var = @w}, %x: f32[4] {input}) -> (f32[4] {var = @w}) {
//     %g = kernel(%x) {kind = map} …
//     %u = kernel(%w, %g) {kind = map} …
//     return %u
// becomes
//   func @f(…) -> (…) attributes {arena = 64} {
//     %g = kernel(%x) {kind = map, place = [{arena = 0}]} …
//     %u = kernel(%w, %g) {kind = map, place = [{var = @w}]} …
//
// - A variable that is argument and result is updated in place. Kernels that read its old value (a layer's
// input
//   gradient) are moved before the kernel that writes it. Where no order exists, or the writing kernel reads
//   the old value at other elements than it writes, the new value goes to the arena and is copied at the end.
// - A result may take over the memory of an operand that dies in its kernel, where that is safe
// (elementwiseSafe).
// - A reshape that moves nothing shares its operand's place and takes no step.
// - A result that is an argument or another result too is copied.
// - Kernels of one launch run at once: none of them takes over memory that another one reads.
// - Offsets: best fit, in the best of four orders (passes/arena_util.cpp), multiples of 64.
//
// A function that has a plan is left alone. Runs last, on kernels (after outline and schedule). What a kernel
// needs for itself (scratch) is not planned here. The plan verifier (ir/plan_verifier.cpp) checks the outcome
// and shares no code with this file. Exact.
#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "passes/arena_util.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"
#include "support/check.h"

namespace gradc {
namespace {

class Planner {
public:
  Planner(Function &fn, PassContext &context) : fn_(fn), context_(context) {}

  void run() {
    copySharedResults();
    groupViews();
    placeResults();
    orderKernels();
    placeInArena();
    write();
  }

private:
  // ---- values and groups: a group is a value and the views of it, which share one place

  ValueId rootOf(ValueId v) const {
    auto it = root_.find(v);
    return it == root_.end() ? v : rootOf(it->second);
  }
  bool isArgument(ValueId v) const { return fn_[v].def == kNoOp; }

  /// Every kernel that reads a value or a view of it. A view itself reads nothing.
  std::vector<OpId> readersOf(ValueId v) const {
    std::vector<OpId> readers;
    for (OpId op : fn_.body().ops) {
      const OpData &kernel = fn_[op];
      const bool view = kernel.results.size() == 1 && root_.contains(kernel.results[0]);
      if (!view && std::ranges::any_of(kernel.operands, [&](ValueId o) { return rootOf(o) == rootOf(v); }))
        readers.push_back(op);
    }
    return readers;
  }

  ValueId copy(ValueId v) {
    ++context_.statistics["copies"];
    return copyKernel(fn_, v);
  }

  // ---- results

  void copySharedResults() {
    std::set<ValueId> claimed;
    for (size_t i = 0; i < fn_.body().yields.size(); ++i) {
      ValueId v = fn_.body().yields[i];
      if (isArgument(v) && argumentPlace(fn_, static_cast<int>(fn_[v].number)) == resultPlace(fn_, i))
        continue; // a variable that nobody changes
      if (isArgument(v) || !claimed.insert(v).second)
        v = copy(v);
      fn_.body().yields[i] = v;
      claimed.insert(v);
    }
    for (size_t i = 0; i < fn_.body().yields.size(); ++i)
      if (ValueId v = fn_.body().yields[i]; !isArgument(v))
        fixed_[v] = resultPlace(fn_, i);
    for (size_t i = 0; i < fn_.body().args.size(); ++i)
      fixed_[fn_.body().args[i]] = argumentPlace(fn_, static_cast<int>(i));
  }

  void groupViews() {
    for (OpId op : fn_.body().ops) {
      if (!isView(fn_, op) || fn_[op].results.size() != 1 || fn_[op].operands.size() != 1)
        continue;
      const ValueId from = rootOf(fn_[op].operands[0]), to = fn_[op].results[0];
      auto place = fixed_.find(to);
      if (place != fixed_.end()) {
        if (place->second.space == Place::Space::Var || fixed_.contains(from))
          continue; // both places are given: the view moves memory after all
        fixed_[from] = place->second;
      }
      root_[to] = from;
      ++context_.statistics["views"];
    }
  }

  /// Decides which variables are overwritten by the kernel that makes their new value.
  void placeResults() {
    for (size_t i = 0; i < fn_.body().yields.size(); ++i) {
      const ValueId v = fn_.body().yields[i];
      if (isArgument(v) || resultPlace(fn_, i).space != Place::Space::Var)
        continue;
      const ValueId old = variableArgument(resultPlace(fn_, i));
      if (old == kNoValue)
        continue;
      const std::vector<OpId> readers = readersOf(old);
      if (mayOverwrite(v, old, readers)) {
        for (OpId reader : readers)
          if (reader != fn_[v].def)
            before_[fn_[v].def].push_back(reader);
        continue;
      }
      ++context_.statistics["variables updated by a copy"];
      fixed_.erase(v);
      const ValueId last = copy(v);
      fn_.body().yields[i] = last;
      fixed_[last] = resultPlace(fn_, i);
      before_[fn_[last].def] = readers;
    }
  }

  ValueId variableArgument(const Place &place) const {
    for (ValueId arg : fn_.body().args)
      if (argumentPlace(fn_, static_cast<int>(fn_[arg].number)) == place)
        return arg;
    return kNoValue;
  }

  bool mayOverwrite(ValueId v, ValueId old, const std::vector<OpId> &readers) const {
    const OpId writer = fn_[v].def;
    for (OpId reader : readers) {
      if (reader != writer && (comesAfter(reader, writer) || runAtOnce(reader, writer)))
        return false;
      if (reader == writer && !safeInPlace(writer, rootOf(old), static_cast<int>(fn_[v].number)))
        return false;
    }
    return true;
  }

  bool runAtOnce(OpId a, OpId b) const {
    return launchOf(fn_, a) >= 0 && launchOf(fn_, a) == launchOf(fn_, b);
  }

  bool safeInPlace(OpId kernel, ValueId root, int result) const {
    const std::vector<ValueId> &operands = fn_[kernel].operands;
    for (size_t i = 0; i < operands.size(); ++i)
      if (rootOf(operands[i]) == root && !elementwiseSafe(fn_, kernel, static_cast<int>(i), result))
        return false;
    return true;
  }

  // ---- order

  /// The op and the kernels that share its launch, in order.
  std::vector<OpId> launchMates(OpId op) const {
    if (launchOf(fn_, op) < 0)
      return {op};
    std::vector<OpId> mates;
    std::ranges::copy_if(fn_.body().ops, std::back_inserter(mates),
                         [&](OpId other) { return runAtOnce(op, other); });
    return mates;
  }

  /// What must have ended before the op's launch.
  std::vector<OpId> predecessors(OpId op) const {
    std::vector<OpId> all;
    for (OpId mate : launchMates(op)) {
      for (ValueId v : fn_[mate].operands)
        if (fn_[v].def != kNoOp)
          all.push_back(fn_[v].def);
      if (auto it = before_.find(mate); it != before_.end())
        all.insert(all.end(), it->second.begin(), it->second.end());
    }
    return all;
  }

  /// True when `op` can only run after `other`.
  bool comesAfter(OpId op, OpId other) const {
    return gradc::comesAfter(
        fn_, op, [&](OpId at) { return predecessors(at); },
        [&](OpId at) { return at == other || runAtOnce(at, other); });
  }

  /// Sorts kernels so that each stands after its predecessors and beside those of its launch, otherwise as they stood.
  void orderKernels() {
    const std::vector<OpId> ops = fn_.body().ops;
    std::vector<bool> done(fn_.numOps());
    std::vector<OpId> sorted;
    auto place = [&](auto &self, OpId op) -> void {
      if (done[index(op)])
        return;
      const std::vector<OpId> mates = launchMates(op);
      for (OpId mate : mates)
        done[index(mate)] = true;
      for (OpId before : predecessors(op))
        self(self, before);
      sorted.insert(sorted.end(), mates.begin(), mates.end());
    };
    for (OpId op : ops)
      place(place, op);
    CHECK(sorted.size() == ops.size());
    fn_.body().ops = std::move(sorted);
  }

  // ---- arena

  struct Life {
    int64_t first = 0, last = 0;
  };

  void placeInArena() {
    const std::vector<OpId> &ops = fn_.body().ops;
    const std::vector<int64_t> moments = momentsOf(fn_);
    std::map<ValueId, Life> lives; // by root
    for (size_t i = 0; i < ops.size(); ++i) {
      const int64_t now = moments[i];
      for (ValueId v : fn_[ops[i]].operands)
        lives[rootOf(v)].last = now;
      for (ValueId v : fn_[ops[i]].results)
        if (rootOf(v) == v)
          lives[v] = {now, now};
        else // an unused view
          lives[rootOf(v)].last = now;
    }
    for (size_t i = 0; i < ops.size(); ++i)
      for (size_t result = 0; result < fn_[ops[i]].results.size(); ++result)
        giveBuffer(ops[i], static_cast<int>(result), moments[i], lives);
    arenaBytes_ = packArena(buffers_, context_.options.i64("alignment"));
    for (const auto &[v, buffer] : bufferOf_)
      fixed_[v] = {Place::Space::Arena, buffers_[buffer].offset, {}};
  }

  /// Whether another kernel of the same launch reads the value.
  bool readAtOnce(OpId op, ValueId root) const {
    return launchOf(fn_, op) >= 0 && std::ranges::any_of(readersOf(root), [&](OpId reader) {
             return reader != op && runAtOnce(reader, op);
           });
  }

  void giveBuffer(OpId op, int result, int64_t now, const std::map<ValueId, Life> &lives) {
    const ValueId v = fn_[op].results[result];
    if (rootOf(v) != v || fixed_.contains(v))
      return;
    const int64_t last = lives.at(v).last, bytes = storageBytes(fn_.type(v));
    context_.statistics["bytes without reuse"] += bytes;
    for (ValueId operand : fn_[op].operands) {
      auto buffer = bufferOf_.find(rootOf(operand));
      if (buffer == bufferOf_.end() || takenOver_.contains(buffer->first) ||
          buffers_[buffer->second].last != now || !safeInPlace(op, buffer->first, result) ||
          readAtOnce(op, buffer->first))
        continue;
      ++context_.statistics["results in place"];
      buffers_[buffer->second].last = last;
      takenOver_.insert(buffer->first);
      bufferOf_[v] = buffer->second;
      return;
    }
    bufferOf_[v] = buffers_.size();
    buffers_.push_back({bytes, now, last, 0});
  }

  void write() {
    for (OpId op : fn_.body().ops) {
      AttrList places;
      for (ValueId v : fn_[op].results)
        places.push_back(toAttr(fixed_.at(rootOf(v))));
      Dict attrs = fn_[op].attrs;
      attrs.set(kPlaceAttr, std::move(places));
      Rule<Dict> normal = normalizeAttrs(*fn_[op].def, attrs);
      CHECK(normal, "{}", normal.error());
      fn_[op].attrs = std::move(*normal);
    }
    fn_.attrs.set(kArenaAttr, arenaBytes_);
    context_.statistics["arena bytes"] += arenaBytes_;
    fn_.compact();
  }

  Function &fn_;
  PassContext &context_;
  std::map<ValueId, ValueId> root_;          // of views
  std::map<ValueId, Place> fixed_;           // by root
  std::map<OpId, std::vector<OpId>> before_; // readers of what a kernel overwrites
  std::vector<ArenaBuffer> buffers_;
  std::map<ValueId, size_t> bufferOf_; // by root
  std::set<ValueId> takenOver_;
  int64_t arenaBytes_ = 0;
};

Result<void> checkKernels(const Function &fn, Diagnostics &diag) {
  for (OpId op : fn.body().ops)
    if (fn[op].regions.empty())
      return std::unexpected(diag.error(
          fn[op].loc, "plan-memory plans kernels, but got {}; run outline first", fn[op].def->name));
  return {};
}

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions) {
    if (isPlanned(*fn))
      continue;
    if (auto checked = checkKernels(*fn, context.diag); !checked)
      return std::unexpected(checked.error());
    Planner(*fn, context).run();
    changed = true;
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(plan_memory) {
  return {.name = "plan-memory",
          .doc = "give every value a place in memory",
          .options = {{"alignment", "of values in the arena: a multiple of 64", gradc::kPlaceAlignment}},
          .optional = false,
          .run = run};
}
