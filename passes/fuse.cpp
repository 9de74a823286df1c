// Decides what becomes one kernel: wraps groups of ops in `kernel` ops.
//
//   %c = conv2d(%x, %w) : f32[64,6,28,28]
//   %e = broadcast(%b) {axes = [1], shape = [64,6,28,28]} : f32[64,6,28,28]
//   %d = add(%c, %e) : f32[64,6,28,28]
//   %r = relu(%d) : f32[64,6,28,28]
// becomes
//   %r = kernel(%x, %w, %b) {kind = contract} { ^(%x: …, %w: …, %b: …): … yield %r } : f32[64,6,28,28]
//
// Kinds of kernels:
//   map       elementwise and movement ops in any mix, window ops before them; results of one shape and
//   layout rows      reductions over the same axes of the same shape, the elementwise ops that feed them and
//   that hang on
//             them, at the full and at the reduced shape: a whole softmax with its loss and gradient
//   contract  one matmul or convolution with the elementwise ops that follow at its result's shape: bias,
//   activation,
//             masks, residuals, and the update of the parameter whose gradient it is; with the option reorder a
//             transpose of the result, before which a reshape may cut dimensions, as one into heads
//
// The decision follows the graph: an edge from a producer to a consumer joins the two kernels built so far if
// the union is a legal kernel and no path leads out of it and back. First come, in program order of consumers
// and until nothing changes, the edges that make a stored value disappear; then those that only save a read,
// where the value stays a result because others read it too. (So a tanh's derivative joins the backward pass
// that needs it, and not the forward pass that happens to stand first.) With the option siblings, kernels of
// sums that go through the same value, neither of which needs the other, become one at last, so that it is read once.
// Nothing is computed twice but ops of trait cheap, which are cloned into every kernel that reads through them and
// vanish. Remarks name each edge: fused, or the reason why not, from the closed list in passes/fuse_analysis.h.
//
// Runs after layout (kernels stay within one layout) and before outline. Exact: code generation rounds each
// op as if it stood alone.
#include <algorithm>

#include "passes/fuse_analysis.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

class Fuser {
public:
  Fuser(Function &fn, PassContext &context)
      : fn_(fn), context_(context), graph_(fn, context.options.i64("max"), context.options.flag("reorder")) {}

  bool run() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const FusionEdge &edge : graph_.edges())
        if (!joined(edge) && graph_.removesResult(edge))
          changed |= !graph_.merge(edge);
    }
    std::vector<std::optional<Refusal>> refusals;
    for (const FusionEdge &edge : graph_.edges())
      refusals.push_back(graph_.merge(edge));
    if (context_.remarks)
      report(refusals);
    if (context_.options.flag("siblings"))
      mergeSiblings();
    return emit();
  }

private:
  bool joined(const FusionEdge &edge) const {
    return graph_.clusterOf(edge.producer) == graph_.clusterOf(edge.consumer);
  }
  std::string nameOf(int node) const { return fn_[fn_[graph_.nodes()[node].op].results[0]].name; }

  void report(const std::vector<std::optional<Refusal>> &refusals) {
    for (size_t i = 0; i < refusals.size(); ++i) {
      const FusionEdge &edge = graph_.edges()[i];
      const Location &loc = fn_[graph_.nodes()[edge.consumer].op].loc;
      const std::string from = nameOf(edge.producer), to = nameOf(edge.consumer);
      if (joined(edge))
        context_.diag.remark(loc, "@{}: %{} -> %{}: fused", fn_.name, from, to);
      else
        context_.diag.remark(loc, "@{}: %{} -> %{}: not fused: {}", fn_.name, from, to,
                             refusalText(*refusals[i]));
    }
  }

  void mergeSiblings() {
    for (const FusionGraph::Siblings &siblings : graph_.siblings()) {
      if (!graph_.mergeSiblings(siblings))
        continue;
      ++context_.statistics["siblings"];
      if (context_.remarks)
        context_.diag.remark(fn_[graph_.nodes()[siblings.b].op].loc,
                             "@{}: %{} and %{}: siblings that read %{}, fused", fn_.name, nameOf(siblings.a),
                             nameOf(siblings.b), fn_[siblings.shared].name);
    }
  }

  /// Rebuilds the body with one kernel for each cluster of more than one op.
  bool emit() {
    std::vector<std::vector<OpId>> clusters;
    std::vector<std::vector<ValueId>> outputs;
    bool changed = false;
    for (int cluster : graph_.order()) {
      clusters.push_back(graph_.opsOf(cluster));
      changed |= clusters.back().size() > 1;
      outputs.emplace_back();
      for (int node : graph_.members(cluster))
        if (graph_.isOutput(node))
          outputs.back().push_back(fn_[graph_.nodes()[node].op].results[0]);
    }
    if (!changed)
      return false;
    fn_.body().ops.clear();
    ValueMap map(fn_.numValues(), kNoValue);
    for (ValueId arg : fn_.body().args)
      map[index(arg)] = arg;
    Builder b(fn_);
    for (size_t i = 0; i < clusters.size(); ++i)
      emitCluster(b, clusters[i], outputs[i], map);
    for (ValueId &v : fn_.body().yields)
      v = map[index(v)];
    fn_.compact();
    return true;
  }

  void emitCluster(Builder &b, const std::vector<OpId> &ops, const std::vector<ValueId> &outputs,
                   ValueMap &map) {
    if (ops.size() > 1 && !outputs.empty()) {
      ++context_.statistics["kernels"];
      context_.statistics["ops in kernels"] += static_cast<int64_t>(ops.size());
      buildKernel(b, ops, outputs, map);
      return;
    }
    for (OpId op : ops) {
      for (ValueId &v : fn_[op].operands)
        v = map[index(v)];
      for (ValueId v : fn_[op].results)
        map[index(v)] = v;
      b.append(op);
    }
  }

  Function &fn_;
  PassContext &context_;
  FusionGraph graph_;
};

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= Fuser(*fn, context).run();
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(fuse) {
  return {.name = "fuse",
          .doc = "group ops into kernels",
          .options = {{"max", "most ops in a kernel, cheap ones not counted; 0: no limit", int64_t{64}},
                      {"reorder", "a contraction may store its result transposed", false},
                      {"siblings", "reductions of one value may be one kernel", false}},
          .run = run};
}
