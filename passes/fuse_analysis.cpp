#include "passes/fuse_analysis.h"

#include <algorithm>
#include <map>
#include <queue>

#include "ir/op.h"
#include "passes/fuse_rules_analysis.h"

namespace gradc {

FusionGraph::FusionGraph(const Function &fn, int64_t maxOps, bool reorders)
    : fn_(fn), maxOps_(maxOps), reorders_(reorders) {
  findCheapOps();
  for (OpId op : fn.body().ops)
    if (nodeOf_[index(op)] >= 0) {
      nodeOf_[index(op)] = static_cast<int>(nodes_.size());
      nodes_.push_back({op, {}, {}, false});
    }
  for (ValueId v : fn.body().yields)
    if (OpId def = fn[v].def; def != kNoOp)
      nodes_[nodeOf_[index(def)]].returned = true;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    findEdges(static_cast<int>(i));
    cluster_.push_back(static_cast<int>(i));
    members_.push_back({static_cast<int>(i)});
  }
}

/// A cheap op is no node unless somebody needs its result in memory: then it is computed once, like any
/// other.
void FusionGraph::findCheapOps() {
  std::vector<bool> inMemory(fn_.numValues());
  for (ValueId v : fn_.body().yields)
    inMemory[index(v)] = true;
  nodeOf_.assign(fn_.numOps(), 0);
  const std::vector<OpId> &ops = fn_.body().ops;
  for (size_t i = ops.size(); i-- > 0;) {
    const OpData &op = fn_[ops[i]];
    if (isCheap(fn_, op) && !inMemory[index(op.results[0])])
      nodeOf_[index(ops[i])] = -1;
    else if (readsMemory(op) || refusesAll(fn_, op))
      for (ValueId v : op.operands)
        if (!op.def->is(kContraction) || !isPackedCast(fn_, v))
          inMemory[index(v)] = true;
  }
}

void FusionGraph::findEdges(int consumer) {
  const OpData &op = fn_[nodes_[consumer].op];
  for (ValueId v : op.operands) {
    if (op.def->name == "broadcast")
      findEdges(consumer, v, true, op.attrs.ints("axes"));
    else
      findEdges(consumer, v, false, identityAxes(fn_.type(v).rank()));
  }
}

void FusionGraph::findEdges(int consumer, ValueId v, bool broadcast, const std::vector<int64_t> &axes) {
  const OpId def = fn_[v].def;
  if (def == kNoOp)
    return;
  if (int producer = nodeOf_[index(def)]; producer >= 0) {
    const int edge = static_cast<int>(edges_.size());
    edges_.push_back({producer, consumer, broadcast, axes});
    nodes_[producer].out.push_back(edge);
    nodes_[consumer].in.push_back(edge);
    return;
  }
  const OpData &op = fn_[def];
  if (op.def->name != "broadcast") {
    for (ValueId operand : op.operands)
      if (fn_.type(operand).shape == fn_.type(v).shape)
        findEdges(consumer, operand, broadcast, axes);
      else // the scalars of random_uniform: they do not follow the index
        findEdges(consumer, operand, true, {});
    return;
  }
  std::vector<int64_t> composed;
  for (int64_t axis : op.attrs.ints("axes"))
    composed.push_back(axes[axis]);
  findEdges(consumer, op.operands[0], true, composed);
}

bool FusionGraph::isOutput(int node) const { return leaves(node, members_[cluster_[node]]); }

/// Whether cluster `to` can be reached from `from` by a way through a third cluster.
bool FusionGraph::reaches(int from, int to) const {
  std::vector<bool> seen(members_.size());
  std::vector<int> stack{from};
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    for (int node : members_[at])
      for (int e : nodes_[node].out) {
        const int next = cluster_[edges_[e].consumer];
        if (next == to && at != from)
          return true;
        if (next == from || next == to || seen[next])
          continue;
        seen[next] = true;
        stack.push_back(next);
      }
  }
  return false;
}

/// Those that merging the edge joins. A view that only a transpose reads goes with it: alone it moves nothing.
std::vector<int> FusionGraph::clustersOf(const FusionEdge &edge) const {
  std::vector<int> clusters{cluster_[edge.producer], cluster_[edge.consumer]};
  const Node &node = nodes_[edge.consumer];
  if (!reorders_ || !isView(edge.consumer) || node.returned || node.out.size() != 1)
    return clusters;
  const int reader = edges_[node.out[0]].consumer;
  if (fn_[nodes_[reader].op].def->name == "transpose" && members_[cluster_[reader]].size() == 1)
    clusters.push_back(cluster_[reader]);
  return clusters;
}

std::vector<int> FusionGraph::unionOf(const std::vector<int> &clusters) const {
  std::vector<int> set;
  for (int cluster : clusters)
    set.insert(set.end(), members_[cluster].begin(), members_[cluster].end());
  std::ranges::sort(set);
  return set;
}

bool FusionGraph::removesResult(const FusionEdge &edge) const {
  return !leaves(edge.producer, unionOf(clustersOf(edge)));
}

std::optional<Refusal> FusionGraph::merge(const FusionEdge &edge) {
  if (cluster_[edge.producer] == cluster_[edge.consumer])
    return std::nullopt;
  return join(clustersOf(edge));
}

/// The first cluster takes in the second, and a third one, which has no operand but the second.
std::optional<Refusal> FusionGraph::join(const std::vector<int> &clusters) {
  std::vector<int> set = unionOf(clusters);
  if (auto refusal = check(set))
    return refusal;
  const int a = clusters[0], b = clusters[1];
  if (reaches(a, b) || reaches(b, a))
    return Refusal::Cycle;
  for (int cluster : clusters)
    members_[cluster].clear();
  for (int node : set)
    cluster_[node] = a;
  members_[a] = std::move(set);
  return std::nullopt;
}

/// What the cluster reads from outside at the shape that it reduces. Nothing where it has more than sums to gain from:
/// an argmax is computed by itself, and what is stored at that shape takes a pass of its own.
std::vector<ValueId> FusionGraph::reducedWith(int cluster) const {
  const std::vector<OpId> ops = opsOf(cluster);
  const auto reduction = std::ranges::find_if(ops, [&](OpId op) { return isReduce(fn_[op]); });
  if (reduction == ops.end() ||
      std::ranges::any_of(ops, [&](OpId op) { return fn_[op].def->name == "argmax"; }))
    return {};
  const Shape &shape = fn_.type(fn_[*reduction].operands[0]).shape;
  for (int node : members_[cluster])
    if (isOutput(node) && fn_.type(fn_[nodes_[node].op].results[0]).shape == shape)
      return {};
  std::vector<ValueId> values;
  for (OpId op : ops)
    for (ValueId v : fn_[op].operands)
      if (fn_.type(v).shape == shape && std::ranges::find(ops, fn_[v].def) == ops.end() &&
          std::ranges::find(values, v) == values.end())
        values.push_back(v);
  return values;
}

std::vector<FusionGraph::Siblings> FusionGraph::siblings() const {
  std::vector<Siblings> pairs;
  std::map<ValueId, std::vector<int>> readers; // a node of each cluster
  for (size_t cluster = 0; cluster < members_.size(); ++cluster)
    for (ValueId v : reducedWith(static_cast<int>(cluster))) {
      const int node = members_[cluster].back();
      for (int before : readers[v])
        pairs.push_back({before, node, v});
      readers[v].push_back(node);
    }
  return pairs;
}

bool FusionGraph::mergeSiblings(const Siblings &siblings) {
  constexpr size_t kStreams = 8; // that a processor follows at a time
  const int a = cluster_[siblings.a], b = cluster_[siblings.b];
  return a != b && reducedWith(a).size() + reducedWith(b).size() <= kStreams + 1 && !join({a, b});
}

std::vector<int> FusionGraph::order() const {
  std::vector<int> missing(members_.size());
  for (const FusionEdge &edge : edges_)
    missing[cluster_[edge.consumer]] += cluster_[edge.producer] != cluster_[edge.consumer];
  // The cluster whose first op stands first goes first.
  using Entry = std::pair<int, int>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  auto offer = [&](int c) { ready.emplace(members_[c].front(), c); };
  for (size_t c = 0; c < members_.size(); ++c)
    if (!members_[c].empty() && missing[c] == 0)
      offer(static_cast<int>(c));
  std::vector<int> order;
  while (!ready.empty()) {
    const int c = ready.top().second;
    ready.pop();
    order.push_back(c);
    for (int node : members_[c])
      for (int e : nodes_[node].out)
        if (int next = cluster_[edges_[e].consumer]; next != c && --missing[next] == 0)
          offer(next);
  }
  return order;
}

std::vector<OpId> FusionGraph::opsOf(int cluster) const {
  std::vector<OpId> ops;
  std::vector<bool> taken(fn_.numOps());
  auto take = [&](auto &self, OpId op) -> void {
    if (taken[index(op)])
      return;
    taken[index(op)] = true;
    for (ValueId v : fn_[op].operands)
      if (OpId def = fn_[v].def; def != kNoOp && nodeOf_[index(def)] < 0)
        self(self, def);
    ops.push_back(op); // after the cheap ops that it reads
  };
  for (int node : members_[cluster])
    take(take, nodes_[node].op);
  return ops;
}

} // namespace gradc
