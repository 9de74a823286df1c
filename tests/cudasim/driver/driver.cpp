#include "driver/driver.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "driver/graph.h"
#include "driver/module.h"
#include "driver/results.h"

namespace cudasim {
Driver &Driver::get() {
  static Driver *driver = new Driver;
  return *driver;
}

std::vector<CUcontext> &currentContexts() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

bool &insideHostCall() {
  thread_local bool inside = false;
  return inside;
}

void report(std::string_view text) {
  std::string block = fmt::format("{}\n", text);
  std::fwrite(block.data(), 1, block.size(), stderr);
  std::fflush(stderr);
}

std::shared_ptr<Context> Driver::makeContext(unsigned flags) {
  std::shared_ptr<Context> context = contexts.add(std::make_shared<Context>(*memory));
  context->context = context.get();
  context->flags = flags;
  context->legacy->context = context.get();
  context->legacy->legacy = true;
  context->queues.push_back(context->legacy->queue);
  return context;
}

void Driver::destroyContext(const std::shared_ptr<Context> &context) {
  uint64_t left = 0;
  for (const std::shared_ptr<Queue> &queue : context->queues)
    left += queue->enqueued() - queue->completed();
  if (left != 0)
    log.write("dropped", fmt::format(R"("work": {})", left));
  for (const auto &[address, bytes] : context->allocations)
    memory->free(reinterpret_cast<void *>(address));
  for (const auto &[address, flags] : context->ownHostMemory)
    std::free(reinterpret_cast<void *>(address));
  streams.removeAll(*context);
  events.removeAll(*context);
  functions.removeAll(*context);
  modules.removeAll(*context);
  executables.removeAll(*context);
  nodes.removeAll(*context);
  graphs.removeAll(*context);
  contexts.remove(*context);
}

std::shared_ptr<Stream> Context::stream(CUstream handle) const {
  if (!handle || handle == CU_STREAM_LEGACY)
    return legacy;
  return find(Driver::get().streams, *this, handle);
}

bool Context::hostRangePinned(uintptr_t address, size_t bytes) const {
  auto above = pinned.upper_bound(address);
  if (above == pinned.begin())
    return false;
  auto [start, size] = *std::prev(above);
  return address + bytes <= start + size;
}

void Context::see(const Point &point) {
  seen.join(point.clock);
  races.forget(seen);
}

CUresult Context::fail(const Failure &failure) {
  broken = failure.code;
  report(fmt::format("cudasim: {} ({})\n  {}", resultName(failure.code), int(failure.code), failure.text));
  for (const std::shared_ptr<Queue> &queue : queues)
    queue->drop();
  return broken;
}

} // namespace cudasim
