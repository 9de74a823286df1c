// The graph that fuse decides on: which op feeds which, the clusters built so far, and whether two clusters
// may become one kernel. Nothing here depends on where ops stand in the text, except that ties go to program
// order.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ir/ir.h"

namespace gradc {

/// Why a producer and its consumer stay in different kernels.
enum class Refusal : uint8_t {
  MultipleUses,      // fusing would compute it several times, or keep a result of a narrow kernel
  DifferentSpace,    // the loops run over different shapes
  Cycle,             // the kernel would need its own result
  SecondContraction, // a kernel holds one matmul or convolution
  MemoryOperand,     // matmul, convolution, window and gather read their operands from memory
  Layout,            // stored differently
  Ordered,           // has an effect
  SizeLimit,         // option max
  ReductionBoundary, // reductions over other axes, or of what a contraction makes
  View,              // a reshape that moves nothing is no kernel at all
  Opaque,            // has no loops to fuse
};
std::string_view refusalText(Refusal refusal);

/// A way from the op that computes a value to an op that reads it, directly or through ops that are cheap
/// enough to be computed again in every kernel.
struct FusionEdge {
  int producer = 0, consumer = 0; // nodes
  bool broadcast = false;         // the way repeats the value: its dimension i becomes axes[i]
  std::vector<int64_t> axes;
};

class FusionGraph {
public:
  /// `reorders`: a contraction may store its result in another order of dimensions.
  FusionGraph(const Function &fn, int64_t maxOps, bool reorders);

  struct Node {
    OpId op;
    std::vector<int> in, out; // edges
    bool returned = false;
  };

  const std::vector<Node> &nodes() const { return nodes_; }
  const std::vector<FusionEdge> &edges() const { return edges_; }
  int clusterOf(int node) const { return cluster_[node]; }
  /// Nodes of a cluster, ascending; empty for a cluster that went into another one.
  const std::vector<int> &members(int cluster) const { return members_[cluster]; }

  /// True if merging along the edge would leave nobody outside who reads the producer's result.
  bool removesResult(const FusionEdge &edge) const;
  /// Puts producer and consumer of an edge into one cluster, or says why not.
  std::optional<Refusal> merge(const FusionEdge &edge);
  /// Nodes of two clusters with reductions that go through the same value element by element.
  struct Siblings {
    int a, b;
    ValueId shared;
  };
  std::vector<Siblings> siblings() const;
  /// Makes one cluster of two such, where that is a legal kernel.
  bool mergeSiblings(const Siblings &siblings);

  /// Clusters so that each stands after those it reads from; otherwise in program order.
  std::vector<int> order() const;
  /// The ops of a cluster with clones of the cheap ops that they read through, in program order.
  std::vector<OpId> opsOf(int cluster) const;
  /// True where something outside of the cluster reads the node's result.
  bool isOutput(int node) const;

private:
  void findCheapOps();
  void findEdges(int consumer);
  void findEdges(int consumer, ValueId v, bool broadcast, const std::vector<int64_t> &axes);
  std::optional<Refusal> check(const std::vector<int> &set) const;
  std::optional<Refusal> checkMap(const std::vector<int> &set) const;
  std::optional<Refusal> checkRows(const std::vector<int> &set) const;
  std::optional<Refusal> checkContract(const std::vector<int> &set) const;
  std::optional<Refusal> checkNarrowOutputs(const std::vector<int> &set, const std::vector<int> &roots) const;
  std::vector<int> clustersOf(const FusionEdge &edge) const;
  std::vector<int> unionOf(const std::vector<int> &clusters) const;
  bool isView(int node) const;
  bool reordersResult(int node, const std::vector<int> &set) const;
  bool reaches(int from, int to) const;
  std::optional<Refusal> join(const std::vector<int> &clusters);
  std::vector<ValueId> reducedWith(int cluster) const;
  bool leaves(int node, const std::vector<int> &set) const;

  const Function &fn_;
  int64_t maxOps_;
  bool reorders_;
  std::vector<Node> nodes_;
  std::vector<FusionEdge> edges_;
  std::vector<int> cluster_;              // by node
  std::vector<std::vector<int>> members_; // by cluster
  std::vector<int> nodeOf_;               // by op; -1 for cheap ops
};

} // namespace gradc
