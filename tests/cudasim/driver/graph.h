// Graphs as they are built, and executable graphs.
#pragma once

#include "driver/driver.h"

namespace cudasim {

struct GraphNode : Object {
  Graph *graph = nullptr;
  NodeOperation operation;
  std::vector<GraphNode *> after;
  std::vector<void *> parameterTable; // what cuGraphKernelNodeGetParams shows
};

struct Graph : Object {
  std::vector<std::shared_ptr<GraphNode>> nodes; // in the order in which they were added
};

struct GraphExec : Object {
  std::shared_ptr<const Instance> instance;
  std::map<uint64_t, size_t> indices; // id of the graph's node: index in the instance
  Point lastLaunch;                   // launches of one executable graph run one after the other
};

/// Adds a node behind others of the same graph.
GraphNode &addNode(Driver &driver, Graph &graph, NodeOperation operation, std::vector<GraphNode *> after);

CUgraphNodeType typeOf(const NodeOperation &operation);

/// Null if the edges make a circle.
std::shared_ptr<GraphExec> instantiate(Graph &graph);

} // namespace cudasim
