// The driver API: events.
#include <algorithm>

#include "driver/capture.h"
#include "driver/execute.h"

using namespace cudasim;

namespace {

template <typename Body> CUresult withEvent(CUevent handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) -> CUresult {
    std::shared_ptr<Event> event = find(driver.events, context, handle);
    return event ? body(driver, context, *event) : CUDA_ERROR_INVALID_HANDLE;
  });
}

/// An event of a capture stands for nodes of a graph, whose time has not come.
CUresult refuseCaptured(Event &event) {
  if (!event.capture)
    return CUDA_SUCCESS;
  event.capture->invalid = true;
  return CUDA_ERROR_CAPTURED_EVENT;
}

void join(std::vector<GraphNode *> &end, const std::vector<GraphNode *> &others) {
  for (GraphNode *node : others)
    if (std::ranges::find(end, node) == end.end())
      end.push_back(node);
}

/// A wait on a captured event takes the stream into the capture.
CUresult waitCaptured(Context &context, Stream &stream, Event &event) {
  Capture &capture = *event.capture;
  if (capture.ended)
    return CUDA_ERROR_CAPTURED_EVENT;
  if (capture.invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (stream.legacy) {
    CUresult refused = refuseLegacy(context);
    capture.invalid = true;
    return refused != CUDA_SUCCESS ? refused : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (stream.capture && stream.capture != event.capture) {
    stream.capture->invalid = capture.invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (!stream.capture)
    stream.captureEnd.clear();
  stream.capture = event.capture;
  join(stream.captureEnd, event.captureEnd);
  return CUDA_SUCCESS;
}

} // namespace

CUDASIM_API cuEventCreate(CUevent *handle, unsigned flags) {
  return callInContext([&](Driver &driver, Context &context) {
    constexpr unsigned kKnown = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING;
    if (flags & CU_EVENT_INTERPROCESS)
      return CUDA_ERROR_NOT_SUPPORTED;
    if (!handle || (flags & ~kKnown))
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Event> event = driver.events.add(std::make_shared<Event>());
    event->context = &context;
    event->flags = flags;
    *handle = event->handle<CUevent>();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuEventDestroy_v2(CUevent handle) { // may come before its record has run
  return withEvent(handle, [&](Driver &driver, Context &, Event &event) {
    driver.events.remove(event);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuEventRecord(CUevent handle, CUstream streamHandle) {
  return withEvent(handle, [&](Driver &driver, Context &context, Event &event) {
    std::shared_ptr<Stream> stream = context.stream(streamHandle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
      if (stream->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      event.capture = stream->capture;
      event.captureEnd = stream->captureEnd;
      event.recorded = true;
      return CUDA_SUCCESS;
    }
    auto stamp = std::make_shared<Stamp>();
    if (CUresult refused = enqueue(driver, context, *stream, Record{stamp}); refused != CUDA_SUCCESS)
      return refused;
    event.capture = nullptr;
    event.captureEnd.clear();
    event.point = stream->end();
    event.stamp = stamp;
    event.recorded = true;
    return CUDA_SUCCESS;
  });
}

// The event as it is now: a later record does not move the wait.
CUDASIM_API cuStreamWaitEvent(CUstream streamHandle, CUevent handle, unsigned flags) {
  return withEvent(handle, [&](Driver &driver, Context &context, Event &event) {
    std::shared_ptr<Stream> stream = context.stream(streamHandle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (flags != 0)
      return flags == 1 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    if (event.capture)
      return waitCaptured(context, *stream, event);
    if (!event.recorded)
      return CUDA_SUCCESS;
    if (stream->capture) {
      if (stream->capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
      stream->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    return enqueue(driver, context, *stream, NodeOperation(Empty()), {event.point});
  });
}

CUDASIM_API cuEventQuery(CUevent handle) {
  return withEvent(handle, [&](Driver &driver, Context &context, Event &event) {
    if (CUresult refused = refuseCaptured(event); refused != CUDA_SUCCESS)
      return refused;
    if (CUresult refused = refuseUnsafe(context); refused != CUDA_SUCCESS)
      return refused;
    if (event.point.reached())
      return context.see(event.point), CUDA_SUCCESS;
    runOne(driver, context, event.point);
    return context.broken != CUDA_SUCCESS ? context.broken : CUDA_ERROR_NOT_READY;
  });
}

CUDASIM_API cuEventSynchronize(CUevent handle) {
  return withEvent(handle, [&](Driver &driver, Context &context, Event &event) {
    if (CUresult refused = refuseCaptured(event); refused != CUDA_SUCCESS)
      return refused;
    if (CUresult refused = refuseUnsafe(context); refused != CUDA_SUCCESS)
      return refused;
    driver.log.write("synchronize", R"("what": "event")");
    return runUntil(driver, context, event.point);
  });
}

CUDASIM_API cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
  return withEvent(start, [&](Driver &driver, Context &context, Event &from) {
    std::shared_ptr<Event> to = find(driver.events, context, end);
    if (!to || !from.recorded || !to->recorded || ((from.flags | to->flags) & CU_EVENT_DISABLE_TIMING))
      return CUDA_ERROR_INVALID_HANDLE;
    if (!milliseconds)
      return CUDA_ERROR_INVALID_VALUE;
    for (Event *event : {&from, to.get()})
      if (CUresult refused = refuseCaptured(*event); refused != CUDA_SUCCESS)
        return refused;
    if (!from.point.reached() || !to->point.reached())
      return CUDA_ERROR_NOT_READY;
    *milliseconds = float(to->stamp->milliseconds - from.stamp->milliseconds);
    return CUDA_SUCCESS;
  });
}

// The first version differs in the result for events of two contexts only.
CUDASIM_API cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, start, end);
}
