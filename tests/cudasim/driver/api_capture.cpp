// The driver API: stream capture.
#include <algorithm>
#include <set>

#include "driver/capture.h"

using namespace cudasim;

namespace {

bool isMode(CUstreamCaptureMode mode) {
  return mode >= CU_STREAM_CAPTURE_MODE_GLOBAL && mode <= CU_STREAM_CAPTURE_MODE_RELAXED;
}

/// Whether all that was captured comes before what `end` stands for.
bool joined(const Graph &graph, const std::vector<GraphNode *> &end) {
  std::set<const GraphNode *> before(end.begin(), end.end());
  std::vector<const GraphNode *> open(end.begin(), end.end());
  while (!open.empty()) {
    const GraphNode *node = open.back();
    open.pop_back();
    for (const GraphNode *earlier : node->after)
      if (before.insert(earlier).second)
        open.push_back(earlier);
  }
  return before.size() == graph.nodes.size();
}

void leave(Driver &driver, Context &context, const std::shared_ptr<Capture> &capture) {
  capture->ended = true;
  driver.streams.each([&](const std::shared_ptr<Stream> &stream) {
    if (stream->capture == capture) {
      stream->capture = nullptr;
      stream->captureEnd.clear();
    }
  });
  std::erase(context.captures, capture);
}

void discard(Driver &driver, Graph &graph) {
  for (const std::shared_ptr<GraphNode> &node : graph.nodes)
    driver.nodes.remove(*node);
  driver.graphs.remove(graph);
}

CUstreamCaptureStatus statusOf(const Stream &stream) {
  if (!stream.capture)
    return CU_STREAM_CAPTURE_STATUS_NONE;
  return stream.capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

/// A question about the legacy stream is refused, but does no harm to the capture.
bool legacyHidden(Driver &driver, const Context &context, const Stream &stream) {
  bool hidden = false;
  driver.streams.each([&](const std::shared_ptr<Stream> &other) {
    hidden |= stream.legacy && other->context == &context && other->capture && other->blocking();
  });
  return hidden;
}

} // namespace

CUDASIM_API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (!isMode(mode))
      return CUDA_ERROR_INVALID_VALUE;
    if (stream.legacy)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream.capture)
      return CUDA_ERROR_ILLEGAL_STATE;
    static uint64_t number = 0;
    auto capture = std::make_shared<Capture>();
    capture->id = ++number;
    capture->mode = mode;
    capture->thread = std::this_thread::get_id();
    capture->origin = stream.id;
    capture->graph = driver.graphs.add(std::make_shared<Graph>());
    capture->graph->context = &context;
    stream.capture = capture;
    stream.captureEnd.clear();
    context.captures.push_back(capture);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (!graph)
      return CUDA_ERROR_INVALID_VALUE;
    *graph = nullptr;
    std::shared_ptr<Capture> capture = stream.capture;
    if (!capture)
      return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->origin != stream.id) {
      capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    }
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != std::this_thread::get_id())
      return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    CUresult result = capture->invalid                              ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                      : !joined(*capture->graph, stream.captureEnd) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                                                    : CUDA_SUCCESS;
    leave(driver, context, capture);
    if (result == CUDA_SUCCESS)
      *graph = capture->graph->handle<CUgraph>();
    else
      discard(driver, *capture->graph);
    return result;
  });
}

CUDASIM_API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (!status)
      return CUDA_ERROR_INVALID_VALUE;
    if (legacyHidden(driver, context, stream))
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    *status = statusOf(stream);
    return CUDA_SUCCESS;
  });
}

// The nodes are those that the next captured operation will come after: behind a launch, the launch's own node.
CUDASIM_API cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                      CUgraph *graph, const CUgraphNode **nodes,
                                      const CUgraphEdgeData **edges, size_t *count) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (!status)
      return CUDA_ERROR_INVALID_VALUE;
    if (legacyHidden(driver, context, stream))
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    *status = statusOf(stream);
    if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
      return CUDA_SUCCESS;
    thread_local std::vector<CUgraphNode> shown; // documented to be valid until the next call on the stream
    shown.clear();
    for (const GraphNode *node : stream.captureEnd)
      shown.push_back(node->handle<CUgraphNode>());
    if (id)
      *id = stream.capture->id;
    if (graph)
      *graph = stream.capture->graph->handle<CUgraph>();
    if (nodes)
      *nodes = shown.data();
    if (edges)
      *edges = nullptr; // all edges are full dependencies
    if (count)
      *count = shown.size();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
  return call([&](Driver &) {
    if (!mode || !isMode(*mode))
      return CUDA_ERROR_INVALID_VALUE;
    std::swap(*mode, threadCaptureMode());
    return CUDA_SUCCESS;
  });
}
