// The rules of fusion: what a kernel of each kind may consist of (docs in passes/fuse.cpp).
#include "passes/fuse_rules_analysis.h"

#include <algorithm>
#include <numeric>

#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {

namespace {

/// Constants with more elements than this are not repeated in every kernel that reads them.
constexpr int64_t kSmallConstant = 1024;

std::vector<int64_t> reducedAxes(const OpData &op) {
  if (!op.attrs.has("axes"))
    return {op.attrs.i64("axis")};
  std::vector<int64_t> axes = op.attrs.ints("axes");
  std::ranges::sort(axes);
  return axes;
}

/// A kernel that reduces everything has one item. Above this many elements, what needs its outcome at every
/// element does not join it.
constexpr int64_t kOneItem = 4096;

bool isSpread(const Function &fn, ValueId v) {
  const OpId def = fn[v].def;
  return def != kNoOp && fn[def].def->name == "broadcast" && fn.type(fn[def].operands[0]).rank() > 0;
}

/// x - mean, and that times 1 / deviation, the two repeated along what was normalized.
bool isNormalization(const Function &fn, const OpData &op) {
  const bool isSub = op.def->name == "sub";
  if ((!isSub && op.def->name != "mul") || !isSpread(fn, op.operands[1]))
    return false;
  const OpId def = fn[op.operands[0]].def;
  return isSub || (def != kNoOp && fn[def].def->name == "sub" && isNormalization(fn, fn[def]));
}

/// A comparison of random numbers: kept for the backward pass in their place, a byte an element instead of four.
bool isRandomMask(const Function &fn, const OpData &op) {
  if (fn.type(op.results[0]).dtype != DType::Bool)
    return false;
  return std::ranges::any_of(op.operands, [&](ValueId v) {
    return fn[v].def != kNoOp && fn[fn[v].def].def->name == "random_uniform";
  });
}

bool contains(const std::vector<int> &set, int node) { return std::ranges::binary_search(set, node); }

} // namespace

bool isCheap(const Function &fn, const OpData &op) {
  if (op.def->is(kStructural) || op.def->is(kOrdered) || op.results.size() != 1)
    return false;
  if (op.def->name == "constant")
    return fn.type(op.results[0]).elements() <= kSmallConstant;
  // Ten rounds of Philox an element are more than a load, and more code than the epilogue of a tile should hold:
  // random bits are computed once, in a kernel of their own, for the forward and the backward pass.
  if (op.def->name == "random_uniform" || isRandomMask(fn, op))
    return false;
  // Forward and backward pass of a normalization share these: to read x again is less than to store them.
  return op.def->is(kCheap) || isNormalization(fn, op) || isPackedCast(fn, op.results[0]);
}

bool isPackedCast(const Function &fn, ValueId v) {
  const OpId def = fn[v].def;
  if (def == kNoOp || fn[def].def->name != "cast" || fn.type(v).dtype != DType::BF16)
    return false;
  const ValueId from = fn[def].operands[0];
  return fn.type(from).dtype == DType::F32 && fn[from].attrs.has("var");
}

bool isReduce(const OpData &op) { return op.def->is(kReduction) && op.operands.size() == 1; }

std::optional<Refusal> refusesAll(const Function &fn, const OpData &op) {
  if (op.def->is(kOrdered))
    return Refusal::Ordered;
  if (op.def->name == "relayout")
    return Refusal::Layout;
  if (op.def->name == "reshape" && sameStorage(fn.type(op.operands[0]), fn.type(op.results[0])))
    return Refusal::View;
  const bool known = op.def->is(kElementwise) || op.def->is(kMovement) || op.def->is(kWindow) ||
                     op.def->is(kContraction) || op.def->is(kCheap) || op.def->name == "constant" ||
                     isReduce(op);
  if (op.def->is(kStructural) || !known || op.results.size() != 1)
    return Refusal::Opaque;
  return std::nullopt;
}

bool readsMemory(const OpData &op) {
  return op.def->is(kContraction) || op.def->is(kWindow) || op.def->name == "gather";
}

std::vector<int64_t> identityAxes(int rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::string_view refusalText(Refusal refusal) {
  switch (refusal) {
  case Refusal::MultipleUses: return "multiple uses";
  case Refusal::DifferentSpace: return "different iteration space";
  case Refusal::Cycle: return "would make a cycle";
  case Refusal::SecondContraction: return "contraction already there";
  case Refusal::MemoryOperand: return "operand is read from memory";
  case Refusal::Layout: return "layout differs";
  case Refusal::Ordered: return "ordered";
  case Refusal::SizeLimit: return "size limit";
  case Refusal::ReductionBoundary: return "reduction boundary";
  case Refusal::View: return "view";
  case Refusal::Opaque: return "no loops to fuse";
  }
  return {};
}

bool FusionGraph::leaves(int node, const std::vector<int> &set) const {
  return nodes_[node].returned ||
         std::ranges::any_of(nodes_[node].out, [&](int e) { return !contains(set, edges_[e].consumer); });
}

std::optional<Refusal> FusionGraph::check(const std::vector<int> &set) const {
  int contractions = 0, reductions = 0;
  for (int node : set) {
    const OpData &op = fn_[nodes_[node].op];
    if (auto refusal = refusesAll(fn_, op);
        refusal && !(refusal == Refusal::View && reordersResult(node, set)))
      return refusal;
    contractions += op.def->is(kContraction);
    reductions += isReduce(op);
  }
  for (int node : set)
    for (int e : nodes_[node].in)
      if (contains(set, edges_[e].producer) && readsMemory(fn_[nodes_[node].op]))
        return Refusal::MemoryOperand;
  if (contractions > 1)
    return Refusal::SecondContraction;
  if (contractions == 1 && reductions > 0)
    return Refusal::ReductionBoundary;
  if (maxOps_ > 0 && static_cast<int64_t>(set.size()) > maxOps_)
    return Refusal::SizeLimit;
  return contractions ? checkContract(set) : reductions ? checkRows(set) : checkMap(set);
}

/// Every value is computed at the index of the results, or at the index that one movement op asks for.
std::optional<Refusal> FusionGraph::checkMap(const std::vector<int> &set) const {
  constexpr int kUnset = -2, kTop = -1;
  std::vector<int> under(set.size(), kUnset); // the movement op that a node's index comes from
  const Type *space = nullptr;
  for (size_t i = set.size(); i-- > 0;) {
    const Node &node = nodes_[set[i]];
    const OpData &op = fn_[node.op];
    int &mine = under[i];
    if (leaves(set[i], set) || node.out.empty())
      mine = kTop;
    for (int e : node.out) {
      auto at = std::ranges::lower_bound(set, edges_[e].consumer);
      if (at == set.end() || *at != edges_[e].consumer)
        continue;
      if (edges_[e].broadcast)
        return Refusal::DifferentSpace;
      const bool moves = fn_[nodes_[*at].op].def->is(kMovement);
      const int theirs = moves ? *at : under[at - set.begin()];
      if (mine != kUnset && mine != theirs)
        return Refusal::MultipleUses;
      mine = theirs;
    }
    if (mine != kTop) {
      if (readsMemory(op))
        return Refusal::DifferentSpace;
      continue;
    }
    const Type &type = fn_.type(op.results[0]);
    if (space && !(space->shape == type.shape))
      return Refusal::DifferentSpace;
    if (space && space->layout != type.layout)
      return Refusal::Layout;
    space = &type;
  }
  return std::nullopt;
}

/// What does not descend from `roots` may not be a result: the kernel has fewer items than such a result
/// deserves, or would compute it beside its real work.
std::optional<Refusal> FusionGraph::checkNarrowOutputs(const std::vector<int> &set,
                                                       const std::vector<int> &roots) const {
  std::vector<bool> descends(set.size());
  for (size_t i = 0; i < set.size(); ++i) {
    descends[i] = std::ranges::find(roots, set[i]) != roots.end();
    for (int e : nodes_[set[i]].in) {
      auto at = std::ranges::lower_bound(set, edges_[e].producer);
      if (at != set.end() && *at == edges_[e].producer && descends[at - set.begin()])
        descends[i] = true;
    }
    if (!descends[i] && leaves(set[i], set))
      return Refusal::MultipleUses;
  }
  return std::nullopt;
}

bool FusionGraph::isView(int node) const { return refusesAll(fn_, fn_[nodes_[node].op]) == Refusal::View; }

/// The node is a transpose, or a view that only a transpose of the set reads, at the end of a contraction: the rows of
/// its result go elsewhere, and 16 neighbours in one stay neighbours.
bool FusionGraph::reordersResult(int node, const std::vector<int> &set) const {
  const OpData &op = fn_[nodes_[node].op];
  const bool transposes = op.def->name == "transpose";
  if (!reorders_ || (!transposes && !isView(node)))
    return false;
  const Type &type = fn_.type(op.results[0]);
  const int64_t last = type.rank() - 1;
  if (!type.layout.empty() || type.shape[static_cast<int>(last)] % kLanes != 0)
    return false;
  const auto inside = [&](int e) { return contains(set, edges_[e].consumer); };
  const std::vector<int> &out = nodes_[node].out;
  if (transposes)
    return op.attrs.ints("permutation").back() == last && std::ranges::none_of(out, inside);
  return out.size() == 1 && inside(out[0]) && reordersResult(edges_[out[0]].consumer, set);
}

std::optional<Refusal> FusionGraph::checkContract(const std::vector<int> &set) const {
  const int main = *std::ranges::find_if(set, [&](int n) { return fn_[nodes_[n].op].def->is(kContraction); });
  const Type &space = fn_.type(fn_[nodes_[main].op].results[0]);
  bool moved = false;
  int outputs = 0;
  for (int node : set) {
    const OpData &op = fn_[nodes_[node].op];
    const Type &type = fn_.type(op.results[0]);
    const bool reorders = reordersResult(node, set);
    moved |= reorders;
    outputs += leaves(node, set);
    if (!reorders && ((node != main && !op.def->is(kElementwise)) || !(type.shape == space.shape)))
      return Refusal::DifferentSpace;
    if (type.layout != space.layout)
      return Refusal::Layout;
    for (int e : nodes_[node].in)
      if (contains(set, edges_[e].producer) && edges_[e].broadcast)
        return Refusal::DifferentSpace;
  }
  if (moved && outputs != 1)
    return Refusal::DifferentSpace;
  return checkNarrowOutputs(set, {main});
}

std::optional<Refusal> FusionGraph::checkRows(const std::vector<int> &set) const {
  std::vector<int> reductions;
  for (int node : set)
    if (isReduce(fn_[nodes_[node].op]))
      reductions.push_back(node);
  const OpData &first = fn_[nodes_[reductions.front()].op];
  const Type &space = fn_.type(first.operands[0]), &reduced = fn_.type(first.results[0]);
  const std::vector<int64_t> axes = reducedAxes(first);
  std::vector<int64_t> kept = identityAxes(space.rank());
  std::erase_if(kept, [&](int64_t axis) { return std::ranges::find(axes, axis) != axes.end(); });
  auto isReduction = [&](int node) { return std::ranges::find(reductions, node) != reductions.end(); };
  auto isFull = [&](int node) {
    return !isReduction(node) && fn_.type(fn_[nodes_[node].op].results[0]).shape == space.shape;
  };
  for (int node : set) {
    const OpData &op = fn_[nodes_[node].op];
    const Type &type = fn_.type(op.results[0]);
    const Type &read = isReduction(node) ? fn_.type(op.operands[0]) : type;
    if (isReduction(node) && (!(read.shape == space.shape) || reducedAxes(op) != axes))
      return Refusal::ReductionBoundary;
    const bool loops = op.def->is(kElementwise) || isCheap(fn_, op) || isReduction(node);
    const bool full = isReduction(node) || isFull(node);
    if (!loops)
      return Refusal::ReductionBoundary;
    if ((!full && !(type.shape == reduced.shape)) || reduced.shape == space.shape)
      return Refusal::DifferentSpace;
    if (read.layout != (full ? space.layout : reduced.layout))
      return Refusal::Layout;
    for (int e : nodes_[node].in) {
      if (!contains(set, edges_[e].producer))
        continue;
      // A reduced value is seen by each element of its row.
      const bool down = full && !isFull(edges_[e].producer);
      if (down && kept.empty() && space.elements() > kOneItem)
        return Refusal::ReductionBoundary;
      if (edges_[e].broadcast != down || (down && edges_[e].axes != kept))
        return Refusal::DifferentSpace;
    }
  }
  // A reduction over the batch has as few items as there are channels.
  return axes.front() == 0 ? checkNarrowOutputs(set, reductions) : std::nullopt;
}

} // namespace gradc
