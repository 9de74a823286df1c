// The driver API: streams and events.
#include <algorithm>

#include <fmt/format.h>

#include "driver/capture.h"
#include "driver/execute.h"

using namespace cudasim;

namespace {

/// The end of a stream's work; of the legacy stream, also of all blocking streams.
CUresult runStream(Driver &driver, Context &context, Stream &stream) {
  if (stream.legacy)
    if (CUresult refused = enqueue(driver, context, stream, NodeOperation(Empty())); refused != CUDA_SUCCESS)
      return refused;
  return runUntil(driver, context, stream.end());
}

CUresult createStream(CUstream *handle, unsigned flags, int priority) {
  return callInContext([&](Driver &driver, Context &context) {
    if (!handle || flags > CU_STREAM_NON_BLOCKING)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<Stream> stream = driver.streams.add(std::make_shared<Stream>());
    stream->context = &context;
    stream->flags = flags;
    stream->priority = std::clamp(priority, -5, 0);
    stream->queue->blocking = stream->blocking();
    std::erase_if(context.queues, [&](const std::shared_ptr<Queue> &queue) { // of destroyed streams
      return queue->idle() && queue.use_count() == 1;
    });
    context.queues.push_back(stream->queue);
    *handle = stream->handle<CUstream>();
    return CUDA_SUCCESS;
  });
}

} // namespace

CUDASIM_API cuStreamCreate(CUstream *stream, unsigned flags) { return createStream(stream, flags, 0); }

CUDASIM_API cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  return createStream(stream, flags, priority);
}

CUDASIM_API cuStreamDestroy_v2(CUstream handle) { // its work still runs
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Stream> stream = find(driver.streams, context, handle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture)
      stream->capture->invalid = true;
    driver.streams.remove(*stream);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuStreamGetFlags(CUstream handle, unsigned *flags) {
  return callOnStream(handle, [&](Driver &, Context &, Stream &stream) {
    return flags ? (*flags = stream.flags, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuStreamGetPriority(CUstream handle, int *priority) {
  return callOnStream(handle, [&](Driver &, Context &, Stream &stream) {
    return priority ? (*priority = stream.priority, CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuStreamGetCtx(CUstream handle, CUcontext *result) {
  return callOnStream(handle, [&](Driver &, Context &context, Stream &) {
    return result ? (*result = context.handle<CUcontext>(), CUDA_SUCCESS) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API cuStreamSynchronize(CUstream handle) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (CUresult refused = refuseWhileCapturing(context, stream); refused != CUDA_SUCCESS)
      return refused;
    driver.log.write("synchronize", R"("what": "stream")");
    return runStream(driver, context, stream);
  });
}

CUDASIM_API cuStreamQuery(CUstream handle) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (CUresult refused = refuseWhileCapturing(context, stream); refused != CUDA_SUCCESS)
      return refused;
    if (stream.end().reached())
      return context.see(stream.end()), CUDA_SUCCESS;
    runOne(driver, context, stream.end());
    return context.broken != CUDA_SUCCESS ? context.broken : CUDA_ERROR_NOT_READY;
  });
}

CUDASIM_API cuLaunchHostFunc(CUstream handle, CUhostFn function, void *userData) {
  return callOnStream(handle, [&](Driver &driver, Context &context, Stream &stream) {
    if (!function)
      return CUDA_ERROR_INVALID_VALUE;
    return enqueue(driver, context, stream, NodeOperation(HostCall{function, userData}));
  });
}
