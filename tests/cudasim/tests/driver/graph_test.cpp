// Graphs: built by hand, replayed, updated.
#include <algorithm>

#include "tests/driver/device.h"

using namespace cudasim::test;

namespace {

constexpr uint32_t kCount = 64;
constexpr size_t kBytes = kCount * sizeof(float);

struct Building {
  CUcontext context = start();
  CUmodule module = loadSnippets();
  CUfunction add = kernel(module, "add"), scale = kernel(module, "scale");
  CUdeviceptr data = upload(std::vector<float>(kCount, 1));
  CUstream main = stream();
  CUgraph graph = nullptr;
  CUgraphExec executable = nullptr;

  Building() { EXPECT_OK(DRIVER(cuGraphCreate)(&graph, 0)); }

  CUresult addNode(CUgraphNode *node, float value, std::vector<CUgraphNode> after = {}) {
    uint32_t count = kCount;
    void *parameters[] = {&data, &value, &count};
    CUDA_KERNEL_NODE_PARAMS asked{add, 1, 1, 1, 128, 1, 1, 0, parameters, nullptr, nullptr, nullptr};
    return DRIVER(cuGraphAddKernelNode_v2)(node, graph, after.data(), after.size(), &asked);
  }
  CUresult scaleNode(CUgraphNode *node, float value, std::vector<CUgraphNode> after = {}) {
    void *parameters[] = {&data, &value};
    CUDA_KERNEL_NODE_PARAMS asked{scale, 1, 1, 1, kCount, 1, 1, 0, parameters, nullptr, nullptr, nullptr};
    return DRIVER(cuGraphAddKernelNode_v2)(node, graph, after.data(), after.size(), &asked);
  }
  void instantiate() { EXPECT_OK(DRIVER(cuGraphInstantiateWithFlags)(&executable, graph, 0)); }
  CUresult update(CUgraphNode node, float value) {
    uint32_t count = kCount;
    void *parameters[] = {&data, &value, &count};
    CUDA_KERNEL_NODE_PARAMS asked{add, 1, 1, 1, 128, 1, 1, 0, parameters, nullptr, nullptr, nullptr};
    return DRIVER(cuGraphExecKernelNodeSetParams_v2)(executable, node, &asked);
  }
  float run() {
    EXPECT_OK(DRIVER(cuGraphLaunch)(executable, main));
    EXPECT_OK(DRIVER(cuStreamSynchronize)(main));
    return download(data, 1)[0];
  }
};

} // namespace

DEVICE_TEST(Graph, EdgesOrderNodes) {
  Building b;
  CUgraphNode first = nullptr, second = nullptr;
  EXPECT_OK(b.addNode(&first, 2));
  EXPECT_OK(b.scaleNode(&second, 10, {first}));
  b.instantiate();
  EXPECT_EQ(b.run(), 30);
}

DEVICE_TEST(Graph, MissingEdgeShows) {
  Building b;
  CUgraphNode first = nullptr, second = nullptr;
  EXPECT_OK(b.addNode(&first, 2));
  EXPECT_OK(b.scaleNode(&second, 10));
  b.instantiate();
  EXPECT_EQ(b.run(), 12);
}

DEVICE_TEST(Graph, EdgesMayBeAddedLaterAndMustNotMakeACircle) {
  Building b;
  CUgraphNode first = nullptr, second = nullptr;
  EXPECT_OK(b.addNode(&first, 2));
  EXPECT_OK(b.scaleNode(&second, 10));
  EXPECT_OK(DRIVER(cuGraphAddDependencies_v2)(b.graph, &first, &second, nullptr, 1));
  EXPECT_EQ(DRIVER(cuGraphAddDependencies_v2)(b.graph, &first, &second, nullptr, 1),
            CUDA_ERROR_INVALID_VALUE);
  b.instantiate();
  EXPECT_EQ(b.run(), 30);
  EXPECT_OK(DRIVER(cuGraphAddDependencies_v2)(b.graph, &second, &first, nullptr, 1));
  EXPECT_EQ(DRIVER(cuGraphInstantiateWithFlags)(&b.executable, b.graph, 0), CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Graph, UpdatedParametersHoldForLaunchesToCome) {
  Building b;
  CUgraphNode node = nullptr;
  EXPECT_OK(b.addNode(&node, 1));
  b.instantiate();
  EXPECT_OK(DRIVER(cuGraphLaunch)(b.executable, b.main)); // waits in the stream with the old value
  EXPECT_OK(b.update(node, 100));
  EXPECT_EQ(b.run(), 102);
}

DEVICE_TEST(Graph, UpdateNeedsTheNodeOfTheGraph) {
  Building b;
  CUgraphNode node = nullptr, later = nullptr;
  EXPECT_OK(b.addNode(&node, 1));
  b.instantiate();
  EXPECT_OK(b.addNode(&later, 1));
  EXPECT_EQ(b.update(later, 2), CUDA_ERROR_INVALID_VALUE); // was not there when it was instantiated
  EXPECT_OK(DRIVER(cuGraphDestroy)(b.graph));
  EXPECT_EQ(b.update(node, 2), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(b.run(), 2); // the executable graph lives on
}

DEVICE_TEST(Graph, LaunchesOfOneExecutableRunOneAfterTheOther) {
  Building b;
  CUgraphNode node = nullptr;
  EXPECT_OK(b.addNode(&node, 1));
  b.instantiate();
  CUstream other = stream();
  EXPECT_OK(DRIVER(cuMemsetD32Async)(b.data, 0, kCount, other));
  EXPECT_OK(DRIVER(cuGraphLaunch)(b.executable, other));
  EXPECT_EQ(b.run(), 2); // both launches, after the memset
}

DEVICE_TEST(Graph, CopiesFillsAndHostFunctions) {
  Building b;
  float *host = pinned(kCount), *back = pinned(kCount);
  std::fill_n(host, kCount, 4.0F);
  CUDA_MEMCPY3D toDevice{}, toHost{};
  toDevice.srcMemoryType = toHost.dstMemoryType = CU_MEMORYTYPE_HOST;
  toDevice.dstMemoryType = toHost.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  toDevice.srcHost = host;
  toHost.dstHost = back;
  toDevice.dstDevice = toHost.srcDevice = b.data;
  toDevice.WidthInBytes = toHost.WidthInBytes = kBytes;
  toDevice.Height = toDevice.Depth = toHost.Height = toHost.Depth = 1;
  CUDA_MEMSET_NODE_PARAMS fill{b.data, 0, 0x3f800000, 4, 8, 1};
  CUDA_HOST_NODE_PARAMS call{[](void *value) { *static_cast<float *>(value) += 0.5F; }, back};
  CUgraphNode in = nullptr, set = nullptr, out = nullptr, touch = nullptr, end = nullptr;
  EXPECT_OK(DRIVER(cuGraphAddMemcpyNode)(&in, b.graph, nullptr, 0, &toDevice, b.context));
  EXPECT_OK(DRIVER(cuGraphAddMemsetNode)(&set, b.graph, &in, 1, &fill, b.context));
  EXPECT_OK(DRIVER(cuGraphAddMemcpyNode)(&out, b.graph, &set, 1, &toHost, b.context));
  EXPECT_OK(DRIVER(cuGraphAddHostNode)(&touch, b.graph, &out, 1, &call));
  EXPECT_OK(DRIVER(cuGraphAddEmptyNode)(&end, b.graph, &touch, 1));
  b.instantiate();
  b.run();
  EXPECT_EQ(back[0], 1.5F);
  EXPECT_EQ(back[8], 4);
  std::fill_n(host, kCount, 6.0F); // read when the node runs
  float *otherHost = pinned(kCount);
  std::fill_n(otherHost, kCount, 8.0F);
  b.run();
  EXPECT_EQ(back[8], 6);
  toDevice.srcHost = otherHost;
  EXPECT_OK(DRIVER(cuGraphExecMemcpyNodeSetParams)(b.executable, in, &toDevice, b.context));
  EXPECT_EQ(DRIVER(cuGraphExecMemcpyNodeSetParams)(b.executable, in, &toHost, b.context),
            CUDA_ERROR_INVALID_VALUE);
  b.run();
  EXPECT_EQ(back[8], 8);
}

DEVICE_TEST(Graph, ParametersCanBeReadBack) {
  Building b;
  CUgraphNode node = nullptr;
  EXPECT_OK(b.addNode(&node, 2.5F));
  CUDA_KERNEL_NODE_PARAMS shown{};
  EXPECT_OK(DRIVER(cuGraphKernelNodeGetParams_v2)(node, &shown));
  EXPECT_EQ(shown.func, b.add);
  EXPECT_EQ(shown.blockDimX, 128U);
  EXPECT_EQ(*static_cast<float *>(shown.kernelParams[1]), 2.5F);
  EXPECT_OK(DRIVER(cuGraphExecKernelNodeSetParams_v2)((b.instantiate(), b.executable), node, &shown));
  EXPECT_EQ(DRIVER(cuGraphMemcpyNodeGetParams)(node, nullptr), CUDA_ERROR_INVALID_VALUE);
}

DEVICE_TEST(Graph, LogCountsKernelsOfAReplay) {
  std::string path = scratchFile("graph.jsonl");
  setenv("CUDASIM_LOG", path.c_str(), 1);
  Building b;
  CUgraphNode first = nullptr, second = nullptr;
  EXPECT_OK(b.addNode(&first, 2));
  EXPECT_OK(b.scaleNode(&second, 10, {first}));
  b.instantiate();
  b.run();
  b.run();
  std::vector<std::string> lines = linesOf(path);
  EXPECT_EQ(countLines(lines, R"("event": "graph", "replay": 2, "nodes": 2, "kernels": 2)"), 1U);
  EXPECT_EQ(countLines(lines, R"("event": "launch", "replay": 1)"), 2U);
}
