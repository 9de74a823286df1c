// Stream capture and its refusals.
#include "tests/driver/device.h"

using namespace cudasim::test;

namespace {

constexpr uint32_t kCount = 64;

struct Capturing {
  CUcontext context = start();
  CUfunction add = kernel(loadSnippets(), "add");
  CUdeviceptr data = upload(std::vector<float>(kCount, 0));
  CUstream main = stream(), side = stream();
  CUgraph graph = nullptr;

  void begin(CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL) {
    EXPECT_OK(DRIVER(cuStreamBeginCapture_v2)(main, mode));
  }
  CUresult end() { return DRIVER(cuStreamEndCapture)(main, &graph); }
  CUresult launch(CUstream stream) { return launchAdd(add, data, 1, kCount, stream); }
  /// The call that must be refused, and what becomes of the capture.
  void refused(CUresult got, CUresult expected) {
    EXPECT_EQ(got, expected);
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    EXPECT_OK(DRIVER(cuStreamIsCapturing)(main, &status));
    EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    EXPECT_EQ(launch(main), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    EXPECT_EQ(end(), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    EXPECT_EQ(graph, nullptr);
    EXPECT_OK(launch(main)); // usable again
  }
};

} // namespace

DEVICE_TEST(Capture, NothingRunsAndTheGraphReplays) {
  Capturing c;
  c.begin();
  EXPECT_OK(c.launch(c.main));
  EXPECT_OK(c.launch(c.main));
  EXPECT_OK(c.end());
  EXPECT_EQ(download(c.data, 1)[0], 0);
  CUgraphExec executable = nullptr;
  EXPECT_OK(DRIVER(cuGraphInstantiateWithFlags)(&executable, c.graph, 0));
  for (int k = 0; k < 3; ++k)
    EXPECT_OK(DRIVER(cuGraphLaunch)(executable, c.main));
  EXPECT_OK(DRIVER(cuStreamSynchronize)(c.main));
  EXPECT_EQ(download(c.data, 1)[0], 6);
}

DEVICE_TEST(Capture, EventsTakeOtherStreamsIn) {
  Capturing c;
  CUevent fork = event(), join = event();
  c.begin();
  EXPECT_OK(c.launch(c.main));
  EXPECT_OK(DRIVER(cuEventRecord)(fork, c.main));
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(c.side, fork, 0));
  EXPECT_OK(c.launch(c.side));
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  EXPECT_OK(DRIVER(cuStreamIsCapturing)(c.side, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
  EXPECT_OK(DRIVER(cuEventRecord)(join, c.side));
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(c.main, join, 0));
  EXPECT_OK(c.launch(c.main));
  EXPECT_OK(c.end());
  size_t nodes = 0;
  EXPECT_OK(DRIVER(cuGraphGetNodes)(c.graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 3U);
  EXPECT_OK(DRIVER(cuStreamIsCapturing)(c.side, &status));
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_NONE);
}

DEVICE_TEST(Capture, TheNodeOfALaunchCanBeAskedFor) {
  Capturing c;
  c.begin();
  EXPECT_OK(c.launch(c.main));
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUgraphNode *nodes = nullptr;
  size_t count = 0;
  EXPECT_OK(DRIVER(cuStreamGetCaptureInfo_v3)(c.main, &status, nullptr, nullptr, &nodes, nullptr, &count));
  ASSERT_EQ(count, 1U);
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  EXPECT_OK(DRIVER(cuGraphNodeGetType)(nodes[0], &type));
  EXPECT_EQ(type, CU_GRAPH_NODE_TYPE_KERNEL);
  EXPECT_OK(c.end());
}

DEVICE_TEST(Capture, UnjoinedStream) {
  Capturing c;
  CUevent fork = event();
  c.begin();
  EXPECT_OK(DRIVER(cuEventRecord)(fork, c.main));
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(c.side, fork, 0));
  EXPECT_OK(c.launch(c.side));
  EXPECT_EQ(c.end(), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
}

DEVICE_TEST(Capture, SynchronisationIsRefused) {
  Capturing c;
  c.begin();
  c.refused(DRIVER(cuStreamSynchronize)(c.main), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  c.begin();
  c.refused(DRIVER(cuStreamQuery)(c.main), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  c.begin();
  c.refused(DRIVER(cuCtxSynchronize)(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUevent captured = event();
  c.begin();
  EXPECT_OK(DRIVER(cuEventRecord)(captured, c.main));
  c.refused(DRIVER(cuEventSynchronize)(captured), CUDA_ERROR_CAPTURED_EVENT);
}

DEVICE_TEST(Capture, UnsafeCallsAreRefusedAsTheModeSays) {
  Capturing c;
  CUdeviceptr memory = 0;
  c.begin();
  c.refused(DRIVER(cuMemAlloc_v2)(&memory, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  c.begin(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  c.refused(DRIVER(cuMemFree_v2)(c.data), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  c.begin(CU_STREAM_CAPTURE_MODE_RELAXED);
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&memory, 4));
  EXPECT_OK(c.end());
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  EXPECT_OK(DRIVER(cuThreadExchangeStreamCaptureMode)(&mode));
  EXPECT_EQ(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
  c.begin();
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&memory, 4));
  EXPECT_OK(c.end());
}

DEVICE_TEST(Capture, LegacyStreamOfABlockingCapture) {
  Capturing c;
  c.main = stream(CU_STREAM_DEFAULT);
  c.begin();
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  EXPECT_EQ(DRIVER(cuStreamIsCapturing)(nullptr, &status), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  c.refused(c.launch(nullptr), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  c.begin();
  float value = 0;
  c.refused(DRIVER(cuMemcpyHtoD_v2)(c.data, &value, 4), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
}

DEVICE_TEST(Capture, LegacyStreamIsFreeOfANonBlockingCapture) {
  Capturing c;
  c.begin();
  EXPECT_OK(c.launch(nullptr));
  EXPECT_OK(c.end());
  EXPECT_EQ(DRIVER(cuStreamBeginCapture_v2)(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL),
            CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

DEVICE_TEST(Capture, WorkOutsideMustNotBeWaitedFor) {
  Capturing c;
  CUevent outside = event();
  EXPECT_OK(DRIVER(cuEventRecord)(outside, c.side));
  c.begin();
  c.refused(DRIVER(cuStreamWaitEvent)(c.main, outside, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
}

DEVICE_TEST(Capture, TwoCapturesDoNotMerge) {
  Capturing c;
  CUevent captured = event();
  c.begin();
  EXPECT_OK(DRIVER(cuStreamBeginCapture_v2)(c.side, CU_STREAM_CAPTURE_MODE_GLOBAL));
  EXPECT_OK(DRIVER(cuEventRecord)(captured, c.side));
  c.refused(DRIVER(cuStreamWaitEvent)(c.main, captured, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
}

DEVICE_TEST(Capture, EndsWhereItBegan) {
  Capturing c;
  EXPECT_EQ(c.end(), CUDA_ERROR_ILLEGAL_STATE);
  CUevent fork = event();
  c.begin();
  EXPECT_EQ(DRIVER(cuStreamBeginCapture_v2)(c.main, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
  EXPECT_OK(DRIVER(cuEventRecord)(fork, c.main));
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(c.side, fork, 0));
  CUgraph graph = nullptr;
  EXPECT_EQ(DRIVER(cuStreamEndCapture)(c.side, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
}
