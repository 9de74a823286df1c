// The driver API: graphs, built node by node.
#include <algorithm>

#include "driver/copy.h"
#include "driver/graph.h"
#include "driver/module.h"

using namespace cudasim;

namespace {

template <typename Body> CUresult withGraph(CUgraph handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) -> CUresult {
    std::shared_ptr<Graph> graph = find(driver.graphs, context, handle);
    return graph ? body(driver, context, *graph) : CUDA_ERROR_INVALID_VALUE;
  });
}

template <typename Body> CUresult withNode(CUgraphNode handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) -> CUresult {
    std::shared_ptr<GraphNode> node = find(driver.nodes, context, handle);
    return node ? body(driver, context, *node) : CUDA_ERROR_INVALID_VALUE;
  });
}

/// A node whose operation is of one kind.
template <typename Kind, typename Body> CUresult withNodeOf(CUgraphNode handle, Body body) {
  return withNode(handle, [&](Driver &driver, Context &context, GraphNode &node) -> CUresult {
    Kind *operation = std::get_if<Kind>(&node.operation);
    return operation ? body(driver, context, node, *operation) : CUDA_ERROR_INVALID_VALUE;
  });
}

GraphNode *nodeOf(const Graph &graph, CUgraphNode handle) {
  for (const std::shared_ptr<GraphNode> &node : graph.nodes)
    if (node->handle<CUgraphNode>() == handle)
      return node.get();
  return nullptr;
}

/// Adds a node; `make` fills its operation in and may refuse.
template <typename Kind, typename Make>
CUresult add(CUgraphNode *handle, CUgraph graphHandle, const CUgraphNode *after, size_t count, Make make) {
  return withGraph(graphHandle, [&](Driver &driver, Context &context, Graph &graph) -> CUresult {
    if (!handle || (count != 0 && !after))
      return CUDA_ERROR_INVALID_VALUE;
    std::vector<GraphNode *> before;
    for (size_t index = 0; index < count; ++index) {
      GraphNode *node = nodeOf(graph, after[index]);
      if (!node || std::ranges::find(before, node) != before.end())
        return CUDA_ERROR_INVALID_VALUE;
      before.push_back(node);
    }
    Kind operation;
    if (CUresult bad = make(driver, context, operation); bad != CUDA_SUCCESS)
      return bad;
    *handle = addNode(driver, graph, std::move(operation), std::move(before)).template handle<CUgraphNode>();
    return CUDA_SUCCESS;
  });
}

/// Fills a list of the caller: without a list gives the number only; what the list has too much becomes null.
template <typename Handle> CUresult giveList(const std::vector<Handle> &all, Handle *list, size_t *count) {
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  if (list)
    for (size_t index = 0; index < *count; ++index)
      list[index] = index < all.size() ? all[index] : nullptr;
  *count = list ? std::min(*count, all.size()) : all.size();
  return CUDA_SUCCESS;
}

} // namespace

CUDASIM_API cuGraphCreate(CUgraph *handle, unsigned flags) {
  return callInContext([&](Driver &driver, Context &context) {
    if (!handle || flags != 0)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Graph> graph = driver.graphs.add(std::make_shared<Graph>());
    graph->context = &context;
    *handle = graph->handle<CUgraph>();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphDestroy(CUgraph handle) {
  return withGraph(handle, [&](Driver &driver, Context &, Graph &graph) {
    for (const std::shared_ptr<GraphNode> &node : graph.nodes)
      driver.nodes.remove(*node);
    driver.graphs.remove(graph);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphAddKernelNode_v2(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after,
                                    size_t count, const CUDA_KERNEL_NODE_PARAMS *asked) {
  return add<KernelLaunch>(
      handle, graph, after, count, [&](Driver &driver, Context &context, KernelLaunch &launch) {
        return asked ? makeLaunch(driver, context, *asked, launch) : CUDA_ERROR_INVALID_VALUE;
      });
}

CUDASIM_API cuGraphAddMemcpyNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                                 const CUDA_MEMCPY3D *asked, CUcontext) {
  return add<Copy>(handle, graph, after, count, [&](Driver &driver, Context &, Copy &copy) {
    return asked ? makeCopy(driver, *asked, copy) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphAddMemsetNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                                 const CUDA_MEMSET_NODE_PARAMS *asked, CUcontext) {
  return add<Fill>(handle, graph, after, count, [&](Driver &driver, Context &, Fill &fill) {
    return asked ? makeFill(driver, *asked, fill) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphAddHostNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                               const CUDA_HOST_NODE_PARAMS *asked) {
  return add<HostCall>(handle, graph, after, count, [&](Driver &, Context &, HostCall &call) {
    if (!asked || !asked->fn)
      return CUDA_ERROR_INVALID_VALUE;
    call = {asked->fn, asked->userData};
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphAddEmptyNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count) {
  return add<Empty>(handle, graph, after, count, [](Driver &, Context &, Empty &) { return CUDA_SUCCESS; });
}

CUDASIM_API cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edges, size_t count) {
  return withGraph(handle, [&](Driver &, Context &, Graph &graph) {
    if (count != 0 && (!from || !to))
      return CUDA_ERROR_INVALID_VALUE;
    if (edges)
      return CUDA_ERROR_NOT_SUPPORTED;
    for (size_t index = 0; index < count; ++index) {
      GraphNode *before = nodeOf(graph, from[index]), *node = nodeOf(graph, to[index]);
      if (!before || !node || before == node || std::ranges::find(node->after, before) != node->after.end())
        return CUDA_ERROR_INVALID_VALUE;
      node->after.push_back(before);
    }
    return CUDA_SUCCESS;
  });
}

// The order is not documented, so no caller may count on one: seeds shuffle it.
CUDASIM_API cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
  return withGraph(handle, [&](Driver &driver, Context &, Graph &graph) {
    std::vector<CUgraphNode> all;
    for (const std::shared_ptr<GraphNode> &node : graph.nodes)
      all.push_back(node->handle<CUgraphNode>());
    if (uint64_t seed = driver.scheduler->seed(); seed != 0)
      std::ranges::shuffle(all, std::mt19937_64(seed)); // the same for every call
    return giveList(all, nodes, count);
  });
}

CUDASIM_API cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type) {
  return withNode(handle, [&](Driver &, Context &, GraphNode &node) {
    return type ? (*type = typeOf(node.operation), CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges,
                                          size_t *count) {
  return withNode(handle, [&](Driver &, Context &, GraphNode &node) {
    if (edges)
      return CUDA_ERROR_NOT_SUPPORTED;
    std::vector<CUgraphNode> all;
    for (const GraphNode *before : node.after)
      all.push_back(before->handle<CUgraphNode>());
    return giveList(all, nodes, count);
  });
}

CUDASIM_API cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS *shown) {
  return withNodeOf<KernelLaunch>(handle,
                                  [&](Driver &, Context &context, GraphNode &node, KernelLaunch &kernel) {
                                    if (!shown)
                                      return CUDA_ERROR_INVALID_VALUE;
                                    Launch &launch = kernel.launch;
                                    node.parameterTable.clear(); // valid as long as the node
                                    for (auto [offset, bytes] : launch.kernel->parameters)
                                      node.parameterTable.push_back(launch.parameters.data() + offset);
                                    *shown = {kernel.function->handle<CUfunction>(),
                                              launch.grid[0],
                                              launch.grid[1],
                                              launch.grid[2],
                                              launch.block[0],
                                              launch.block[1],
                                              launch.block[2],
                                              launch.sharedBytes,
                                              node.parameterTable.data(),
                                              nullptr,
                                              nullptr,
                                              context.handle<CUcontext>()};
                                    return CUDA_SUCCESS;
                                  });
}

CUDASIM_API cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS *asked) {
  return withNodeOf<KernelLaunch>(
      handle, [&](Driver &driver, Context &context, GraphNode &, KernelLaunch &kernel) {
        KernelLaunch made;
        CUresult bad = asked ? makeLaunch(driver, context, *asked, made) : CUDA_ERROR_INVALID_VALUE;
        if (bad == CUDA_SUCCESS)
          kernel = std::move(made);
        return bad;
      });
}

CUDASIM_API cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D *shown) {
  return withNodeOf<Copy>(handle, [&](Driver &, Context &, GraphNode &, Copy &copy) {
    return shown ? (*shown = describe(copy), CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphMemsetNodeGetParams(CUgraphNode handle, CUDA_MEMSET_NODE_PARAMS *shown) {
  return withNodeOf<Fill>(handle, [&](Driver &, Context &, GraphNode &, Fill &fill) {
    return shown ? (*shown = describe(fill), CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS *shown) {
  return withNodeOf<HostCall>(handle, [&](Driver &, Context &, GraphNode &, HostCall &call) {
    return shown ? (*shown = {call.function, call.userData}, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}
