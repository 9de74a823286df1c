// The driver API: executable graphs.
#include "driver/capture.h"
#include "driver/copy.h"
#include "driver/module.h"

using namespace cudasim;

namespace {

template <typename Body> CUresult withExecutable(CUgraphExec handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) -> CUresult {
    std::shared_ptr<GraphExec> executable = find(driver.executables, context, handle);
    return executable ? body(driver, context, *executable) : CUDA_ERROR_INVALID_VALUE;
  });
}

/// Changes one node for the launches to come; launches that wait in a stream keep what they were asked with.
/// The node is named by the graph's handle, which must still be there.
template <typename Kind, typename Make>
CUresult update(CUgraphExec handle, CUgraphNode nodeHandle, Make make) {
  return withExecutable(handle, [&](Driver &driver, Context &context, GraphExec &executable) -> CUresult {
    std::shared_ptr<GraphNode> node = find(driver.nodes, context, nodeHandle);
    auto index = node ? executable.indices.find(node->id) : executable.indices.end();
    if (index == executable.indices.end())
      return CUDA_ERROR_INVALID_VALUE;
    auto changed = std::make_shared<Instance>(*executable.instance);
    Kind *old = std::get_if<Kind>(&changed->nodes[index->second].operation);
    if (!old)
      return CUDA_ERROR_INVALID_VALUE;
    Kind made;
    if (CUresult bad = make(driver, context, *old, made); bad != CUDA_SUCCESS)
      return bad;
    *old = std::move(made);
    executable.instance = std::move(changed);
    return CUDA_SUCCESS;
  });
}

bool sameShape(const Copy &a, const Copy &b) {
  return a.to.device == b.to.device && a.from.device == b.from.device && a.height == b.height &&
         a.depth == b.depth;
}

} // namespace

CUDASIM_API cuGraphInstantiateWithFlags(CUgraphExec *handle, CUgraph graphHandle, unsigned long long flags) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Graph> graph = find(driver.graphs, context, graphHandle);
    if (!handle || !graph)
      return CUDA_ERROR_INVALID_VALUE;
    if (flags & ~uint64_t{CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD})
      return flags < 16 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<GraphExec> executable = instantiate(*graph);
    if (!executable)
      return CUDA_ERROR_INVALID_VALUE;
    *handle = driver.executables.add(executable)->handle<CUgraphExec>();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphExecDestroy(CUgraphExec handle) { // launches that wait in a stream still run
  return withExecutable(handle, [&](Driver &driver, Context &, GraphExec &executable) {
    driver.executables.remove(executable);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphUpload(CUgraphExec handle, CUstream streamHandle) {
  return withExecutable(handle, [&](Driver &driver, Context &context, GraphExec &) {
    std::shared_ptr<Stream> stream = context.stream(streamHandle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture)
      return refuseWhileCapturing(context, *stream);
    return enqueue(driver, context, *stream, NodeOperation(Empty()));
  });
}

CUDASIM_API cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  return withExecutable(handle, [&](Driver &driver, Context &context, GraphExec &executable) {
    std::shared_ptr<Stream> stream = context.stream(streamHandle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult refused =
            enqueue(driver, context, *stream, Replay{executable.instance}, {executable.lastLaunch});
        refused != CUDA_SUCCESS)
      return refused;
    executable.lastLaunch = stream->end();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node,
                                              const CUDA_KERNEL_NODE_PARAMS *asked) {
  return update<KernelLaunch>(
      handle, node, [&](Driver &driver, Context &context, const KernelLaunch &, KernelLaunch &made) {
        return asked ? makeLaunch(driver, context, *asked, made) : CUDA_ERROR_INVALID_VALUE;
      });
}

CUDASIM_API cuGraphExecMemcpyNodeSetParams(CUgraphExec handle, CUgraphNode node, const CUDA_MEMCPY3D *asked,
                                           CUcontext) {
  return update<Copy>(handle, node, [&](Driver &driver, Context &, const Copy &old, Copy &made) {
    CUresult bad = asked ? makeCopy(driver, *asked, made) : CUDA_ERROR_INVALID_VALUE;
    return bad == CUDA_SUCCESS && !sameShape(old, made) ? CUDA_ERROR_INVALID_VALUE : bad;
  });
}

CUDASIM_API cuGraphExecMemsetNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                           const CUDA_MEMSET_NODE_PARAMS *asked, CUcontext) {
  return update<Fill>(handle, node, [&](Driver &driver, Context &, const Fill &, Fill &made) {
    return asked ? makeFill(driver, *asked, made) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuGraphExecHostNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                         const CUDA_HOST_NODE_PARAMS *asked) {
  return update<HostCall>(handle, node, [&](Driver &, Context &, const HostCall &, HostCall &made) {
    if (!asked || !asked->fn)
      return CUDA_ERROR_INVALID_VALUE;
    made = {asked->fn, asked->userData};
    return CUDA_SUCCESS;
  });
}
