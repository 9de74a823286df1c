#include "driver/graph.h"

#include <algorithm>

#include "driver/module.h"

namespace cudasim {
namespace {

struct TypeOf {
  CUgraphNodeType operator()(const KernelLaunch &) const { return CU_GRAPH_NODE_TYPE_KERNEL; }
  CUgraphNodeType operator()(const Copy &) const { return CU_GRAPH_NODE_TYPE_MEMCPY; }
  CUgraphNodeType operator()(const Fill &) const { return CU_GRAPH_NODE_TYPE_MEMSET; }
  CUgraphNodeType operator()(const HostCall &) const { return CU_GRAPH_NODE_TYPE_HOST; }
  CUgraphNodeType operator()(const Empty &) const { return CU_GRAPH_NODE_TYPE_EMPTY; }
};

bool hasCircle(const Instance &instance) {
  std::vector<bool> done(instance.nodes.size());
  for (size_t left = done.size(); left > 0;) {
    size_t before = left;
    for (size_t node = 0; node < done.size(); ++node)
      if (!done[node] && std::ranges::all_of(instance.nodes[node].after, [&](size_t a) { return done[a]; })) {
        done[node] = true;
        --left;
      }
    if (left == before)
      return true;
  }
  return false;
}

} // namespace

CUgraphNodeType typeOf(const NodeOperation &operation) { return std::visit(TypeOf(), operation); }

GraphNode &addNode(Driver &driver, Graph &graph, NodeOperation operation, std::vector<GraphNode *> after) {
  std::shared_ptr<GraphNode> node = driver.nodes.add(std::make_shared<GraphNode>());
  node->context = graph.context;
  node->graph = &graph;
  node->operation = std::move(operation);
  node->after = std::move(after);
  graph.nodes.push_back(node);
  return *node;
}

std::shared_ptr<GraphExec> instantiate(Graph &graph) {
  auto executable = std::make_shared<GraphExec>();
  executable->context = graph.context;
  auto instance = std::make_shared<Instance>();
  for (size_t index = 0; index < graph.nodes.size(); ++index)
    executable->indices[graph.nodes[index]->id] = index;
  for (const std::shared_ptr<GraphNode> &node : graph.nodes) {
    std::vector<size_t> after;
    for (const GraphNode *before : node->after)
      after.push_back(executable->indices.at(before->id));
    instance->nodes.push_back({node->operation, std::move(after)});
  }
  if (hasCircle(*instance))
    return nullptr;
  executable->instance = std::move(instance);
  return executable;
}

} // namespace cudasim
