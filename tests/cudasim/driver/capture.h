// Stream capture: what is asked of a capturing stream becomes nodes of a graph, and what would have to wait for work
// that does not run is refused with the documented results. A refused call makes the capture invalid.
#pragma once

#include "driver/graph.h"

namespace cudasim {

struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  uint64_t origin = 0; // id of the stream
  std::shared_ptr<Graph> graph;
  bool invalid = false, ended = false;
};

/// Queues an operation, or captures it.
CUresult enqueue(Driver &driver, Context &context, Stream &stream, Operation operation,
                 std::vector<Point> after = {});

/// For calls that wait for or ask about the stream.
CUresult refuseWhileCapturing(Context &context, Stream &stream);

/// For calls that wait for the whole context.
CUresult refuseWhileAnyCaptures(Context &context);

/// For calls that capture would miss, such as an allocation: refused as the modes of the captures and of the thread
/// say.
CUresult refuseUnsafe(Context &context);

/// For calls that use the legacy stream, and the use of it as a stream.
CUresult refuseLegacy(Context &context);

/// This thread's mode (cuThreadExchangeStreamCaptureMode).
CUstreamCaptureMode &threadCaptureMode();

} // namespace cudasim
