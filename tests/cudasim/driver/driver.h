// The state behind the driver API: the device, its contexts, and every object that a handle stands for.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "driver/cuda_api.h"
#include "driver/handles.h"
#include "driver/log.h"
#include "driver/queue.h"
#include "driver/settings.h"
#include "driver/stream_races.h"

namespace cudasim {

struct Capture;
struct Event;
struct Graph;
struct GraphExec;
struct GraphNode;
struct LoadedModule;

struct Stream : Object {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  unsigned flags = 0;
  int priority = 0;
  bool legacy = false;
  std::shared_ptr<Capture> capture;    // null: not capturing
  std::vector<GraphNode *> captureEnd; // what the next captured operation comes after

  bool blocking() const { return !(flags & CU_STREAM_NON_BLOCKING); }
  /// The end of the work that was asked for until now.
  Point end() const { return endOf(queue); }
};

struct Event : Object {
  unsigned flags = 0;
  bool recorded = false;
  Point point;
  std::shared_ptr<Stamp> stamp;
  std::shared_ptr<Capture> capture; // set: last recorded in a capturing stream
  std::vector<GraphNode *> captureEnd;
};

/// A fault of the device or a finding of a check: what the API returns from now on, and what stderr is told.
struct Failure {
  CUresult code = CUDA_ERROR_LAUNCH_FAILED;
  std::string text;
};

struct Context : Object {
  explicit Context(Memory &memory) : memory(memory) {}

  unsigned flags = 0;
  Memory &memory;                              // the device's: its contexts share the address space
  std::map<uintptr_t, size_t> allocations;     // by cuMemAlloc: address, bytes
  std::map<uintptr_t, size_t> pinned;          // host memory that the device may copy to and from
  std::map<uintptr_t, unsigned> ownHostMemory; // by cuMemHostAlloc, and its flags
  std::shared_ptr<Stream> legacy = std::make_shared<Stream>();
  std::vector<std::shared_ptr<Queue>> queues; // also those of destroyed streams that have work left
  std::vector<std::shared_ptr<Capture>> captures;
  Clock seen; // what the host has waited for
  StreamRaces races;
  CUresult broken = CUDA_SUCCESS; // after a fault: what every call returns
  double clock = 0;               // milliseconds, invented

  /// The stream of a handle, null for none of this context.
  std::shared_ptr<Stream> stream(CUstream handle) const;
  bool hostRangePinned(uintptr_t address, size_t bytes) const;
  CUresult fail(const Failure &failure);
  /// The host knows now that the work before the point has run.
  void see(const Point &point);
};

class Driver {
public:
  /// The only one; never destroyed, as other threads may still call when the process ends.
  static Driver &get();

  std::recursive_mutex mutex;
  Settings settings;
  const DeviceProfile *profile = nullptr; // null before cuInit
  std::optional<Memory> memory;
  std::optional<Scheduler> scheduler;
  Options options; // of the machine
  Log log;
  uint64_t allocations = 0, launches = 0, replays = 0;
  std::shared_ptr<Context> primary;
  unsigned primaryUsers = 0, primaryFlags = 0;

  HandleTable<Context> contexts;
  HandleTable<Stream> streams;
  HandleTable<Event> events;
  HandleTable<LoadedModule> modules;
  HandleTable<Function> functions;
  HandleTable<Graph> graphs;
  HandleTable<GraphNode> nodes;
  HandleTable<GraphExec> executables;

  std::shared_ptr<Context> makeContext(unsigned flags);
  void destroyContext(const std::shared_ptr<Context> &context);
};

/// The contexts that a thread made current, the last on top; null is "none" (cuCtxSetCurrent of null).
std::vector<CUcontext> &currentContexts();

/// Set while a host function of a stream runs, which must not call the driver.
bool &insideHostCall();

/// For functions that need cuInit only.
template <typename Body> CUresult call(Body body) {
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  if (insideHostCall())
    return CUDA_ERROR_NOT_PERMITTED;
  if (!driver.profile)
    return driver.settings.faults.stub ? CUDA_ERROR_STUB_LIBRARY : CUDA_ERROR_NOT_INITIALIZED;
  return body(driver);
}

/// For functions that act in the current context.
template <typename Body> CUresult callInContext(Body body) {
  return call([&](Driver &driver) -> CUresult {
    if (currentContexts().empty() || !currentContexts().back())
      return CUDA_ERROR_INVALID_CONTEXT;
    std::shared_ptr<Context> context = driver.contexts.find(currentContexts().back());
    if (!context)
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (context->broken != CUDA_SUCCESS)
      return context->broken;
    return body(driver, *context);
  });
}

/// For functions that act on a stream.
template <typename Body> CUresult callOnStream(CUstream handle, Body body) {
  return callInContext([&](Driver &driver, Context &context) -> CUresult {
    std::shared_ptr<Stream> stream = context.stream(handle);
    return stream ? body(driver, context, *stream) : CUDA_ERROR_INVALID_HANDLE;
  });
}

/// The object of a handle if it belongs to the context, else null.
template <typename T, typename Handle>
std::shared_ptr<T> find(const HandleTable<T> &table, const Context &context, Handle handle) {
  std::shared_ptr<T> object = table.find(handle);
  return object && object->context == &context ? object : nullptr;
}

/// One block of text on stderr, not torn by other threads.
void report(std::string_view text);

} // namespace cudasim
