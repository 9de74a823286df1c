#include "driver/capture.h"

#include <algorithm>

namespace cudasim {
namespace {

void invalidate(Capture &capture) { capture.invalid = true; }

CUresult invalidateIf(Context &context, CUresult result, auto condition) {
  bool found = false;
  for (const std::shared_ptr<Capture> &capture : context.captures)
    if (condition(*capture)) {
      invalidate(*capture);
      found = true;
    }
  return found ? result : CUDA_SUCCESS;
}

/// Work of the legacy stream waits for all blocking streams, theirs for the legacy stream.
void addLegacyOrder(Context &context, const Stream &stream, std::vector<Point> &after) {
  const std::shared_ptr<Queue> &legacy = context.legacy->queue;
  if (!stream.legacy && stream.blocking())
    after.push_back(context.legacy->end());
  if (stream.legacy)
    for (const std::shared_ptr<Queue> &queue : context.queues)
      if (queue->blocking && queue != legacy)
        after.push_back(endOf(queue));
}

CUresult captureOperation(Driver &driver, Stream &stream, Operation operation) {
  if (stream.capture->invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  auto *node = std::get_if<NodeOperation>(&operation);
  if (!node) { // a launch of a graph, which would become a child graph
    invalidate(*stream.capture);
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  GraphNode &added = addNode(driver, *stream.capture->graph, std::move(*node), stream.captureEnd);
  stream.captureEnd = {&added};
  return CUDA_SUCCESS;
}

} // namespace

CUstreamCaptureMode &threadCaptureMode() {
  thread_local CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  return mode;
}

CUresult enqueue(Driver &driver, Context &context, Stream &stream, Operation operation,
                 std::vector<Point> after) {
  if (stream.capture)
    return captureOperation(driver, stream, std::move(operation));
  if (stream.legacy)
    if (CUresult refused = refuseLegacy(context); refused != CUDA_SUCCESS)
      return refused;
  addLegacyOrder(context, stream, after);
  Clock clock = context.seen;
  for (const Point &point : after)
    clock.join(point.clock);
  std::erase_if(after, [](const Point &point) { return point.reached(); });
  stream.queue->push({std::move(operation), std::move(after), std::move(clock)});
  return CUDA_SUCCESS;
}

CUresult refuseWhileCapturing(Context &context, Stream &stream) {
  if (stream.legacy)
    return refuseLegacy(context);
  if (!stream.capture)
    return CUDA_SUCCESS;
  if (stream.capture->invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  invalidate(*stream.capture);
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult refuseWhileAnyCaptures(Context &context) {
  return invalidateIf(context, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [](const Capture &) { return true; });
}

CUresult refuseUnsafe(Context &context) {
  CUstreamCaptureMode mode = threadCaptureMode();
  if (mode == CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_SUCCESS;
  return invalidateIf(context, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&](const Capture &capture) {
    if (capture.thread == std::this_thread::get_id())
      return capture.mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return mode == CU_STREAM_CAPTURE_MODE_GLOBAL && capture.mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
  });
}

CUresult refuseLegacy(Context &context) {
  return invalidateIf(context, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, [&](const Capture &capture) {
    bool blocking = false;
    Driver::get().streams.each([&](const std::shared_ptr<Stream> &stream) {
      blocking |= stream->capture.get() == &capture && stream->blocking();
    });
    return blocking;
  });
}

} // namespace cudasim
