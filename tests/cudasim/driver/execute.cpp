#include "driver/execute.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "driver/module.h"

namespace cudasim {
namespace {

using Outcome = std::optional<Failure>; // nothing: it went well

/// `replay`: the number of the graph launch, 0 outside of graphs.
struct Execution {
  Driver &driver;
  Context &context;
  const Clock &clock; // of the work
  uint64_t replay = 0;

  Outcome operator()(const NodeOperation &operation) { return std::visit(*this, operation); }
  Outcome operator()(const KernelLaunch &launch);
  Outcome operator()(const Copy &copy);
  Outcome operator()(const Fill &fill);
  Outcome operator()(const HostCall &call);
  Outcome operator()(const Empty &) { return std::nullopt; }
  Outcome operator()(const Replay &graph);
  Outcome operator()(const Record &record);
};

constexpr const char *kSide[] = {"host", "device"};

/// What two streams race for is a failure, unless CUDASIM_RACES=0.
Outcome race(const Driver &driver, std::optional<std::string> found) {
  if (!found || !driver.options.races)
    return std::nullopt;
  return Failure{CUDA_ERROR_LAUNCH_FAILED, std::move(*found)};
}

Outcome Execution::operator()(const KernelLaunch &launch) {
  const Function &function = *launch.function;
  if (++driver.launches == driver.settings.faults.failingLaunch)
    return Failure{CUDA_ERROR_LAUNCH_FAILED,
                   fmt::format("kernel {}: CUDASIM_FAIL=launch:{}", function.name, driver.launches)};
  context.races.begin(fmt::format("kernel {}", function.name), clock);
  uint32_t firstTag = driver.memory->beginLaunch();
  if (Outcome bad = runKernel(driver, context, launch, replay))
    return bad;
  return race(driver, context.races.launch(*driver.memory, firstTag, driver.memory->endOfTags()));
}

void markWritten(Context &context, uintptr_t address, size_t bytes) {
  context.memory.markWritten(reinterpret_cast<const void *>(address), int64_t(bytes));
}

/// The bytes of a side from its first to behind its last.
size_t extent(const CopySide &side, const Copy &copy) {
  return (copy.depth - 1) * side.slice + (copy.height - 1) * side.pitch + copy.width;
}

/// Copies may overlap only where that does not matter, so rows go one by one.
void moveRows(const Copy &copy, uintptr_t from) {
  for (size_t plane = 0; plane < copy.depth; ++plane)
    for (size_t row = 0; row < copy.height; ++row)
      std::memmove(reinterpret_cast<void *>(copy.to.address + plane * copy.to.slice + row * copy.to.pitch),
                   reinterpret_cast<const void *>(from + plane * copy.from.slice + row * copy.from.pitch),
                   copy.width);
}

Outcome Execution::operator()(const Copy &copy) {
  context.races.begin(fmt::format("a copy of {} bytes from the {} to the {}",
                                  copy.width * copy.height * copy.depth, kSide[copy.from.device],
                                  kSide[copy.to.device]),
                      clock);
  for (auto [side, write] : {std::pair{&copy.from, false}, {&copy.to, true}})
    if (side->device || !copy.staged)
      if (Outcome bad =
              race(driver, context.races.range(*driver.memory, side->address, extent(*side, copy), write)))
        return bad;
  if (copy.from.device)
    if (Outcome bad = checkRange(context, copy.from.address, extent(copy.from, copy), "the source of a copy"))
      return bad;
  if (copy.to.device) {
    if (Outcome bad =
            checkRange(context, copy.to.address, extent(copy.to, copy), "the destination of a copy"))
      return bad;
    for (size_t row = 0; row < copy.height * copy.depth; ++row)
      markWritten(context,
                  copy.to.address + row / copy.height * copy.to.slice + row % copy.height * copy.to.pitch,
                  copy.width);
  }
  moveRows(copy, copy.staged ? reinterpret_cast<uintptr_t>(copy.staged->data()) : copy.from.address);
  driver.log.write("copy", fmt::format(R"("from": "{}", "to": "{}", "bytes": {}, "replay": {})",
                                       kSide[copy.from.device], kSide[copy.to.device],
                                       copy.width * copy.height * copy.depth, replay));
  context.clock += 1e-3;
  return std::nullopt;
}

Outcome Execution::operator()(const Fill &fill) {
  size_t rowBytes = fill.width * fill.elementSize;
  size_t bytes = (fill.height - 1) * fill.pitch + rowBytes;
  context.races.begin(fmt::format("a memset of {} bytes", bytes), clock);
  if (Outcome bad = race(driver, context.races.range(*driver.memory, fill.address, bytes, true)))
    return bad;
  if (Outcome bad = checkRange(context, fill.address, bytes, "a memset"))
    return bad;
  for (size_t row = 0; row < fill.height; ++row) {
    uintptr_t start = fill.address + row * fill.pitch;
    for (size_t at = 0; at < rowBytes; at += fill.elementSize)
      std::memcpy(reinterpret_cast<void *>(start + at), &fill.value, fill.elementSize); // little endian
    markWritten(context, start, rowBytes);
  }
  driver.log.write("memset", fmt::format(R"("bytes": {}, "replay": {})", rowBytes * fill.height, replay));
  context.clock += 1e-3;
  return std::nullopt;
}

Outcome Execution::operator()(const HostCall &call) {
  context.races.begin("a host function", clock); // of cuBLAS, whose memory cudasimCheckRange learns
  insideHostCall() = true;
  call.function(call.userData);
  insideHostCall() = false;
  context.clock += 1e-3;
  return std::nullopt; // a stand-in library that finds a fault breaks the context itself: cudasimFault
}

Outcome Execution::operator()(const Record &record) {
  record.stamp->milliseconds = context.clock;
  return std::nullopt;
}

/// Nodes run in an order that only the edges restrict.
Outcome Execution::operator()(const Replay &graph) {
  const std::vector<Instance::Node> &nodes = graph.instance->nodes;
  replay = ++driver.replays;
  size_t kernels = std::ranges::count_if(
      nodes, [](const Instance::Node &node) { return std::holds_alternative<KernelLaunch>(node.operation); });
  driver.log.write("graph",
                   fmt::format(R"("replay": {}, "nodes": {}, "kernels": {})", replay, nodes.size(), kernels));
  std::vector<size_t> waitsFor(nodes.size()), ready;
  std::vector<std::vector<size_t>> then(nodes.size());
  for (size_t node = 0; node < nodes.size(); ++node) {
    waitsFor[node] = nodes[node].after.size();
    for (size_t before : nodes[node].after)
      then[before].push_back(node);
    if (waitsFor[node] == 0)
      ready.push_back(node);
  }
  while (!ready.empty()) {
    size_t choice = driver.scheduler->choose(ready.size());
    size_t node = ready[choice];
    ready.erase(ready.begin() + long(choice));
    if (Outcome bad = (*this)(nodes[node].operation))
      return bad;
    if (context.broken != CUDA_SUCCESS)
      return std::nullopt;
    for (size_t next : then[node])
      if (--waitsFor[next] == 0)
        ready.push_back(next);
  }
  return std::nullopt;
}

void runFrom(Driver &driver, Context &context, Queue &queue) {
  Work work = queue.pop();
  Execution execution{driver, context, work.clock};
  if (Outcome bad = std::visit(execution, work.operation))
    context.fail(*bad);
}

} // namespace

std::optional<Failure> checkRange(Context &context, uintptr_t address, size_t bytes, std::string_view who) {
  if (bytes == 0)
    return std::nullopt;
  auto wrong = context.memory.check(reinterpret_cast<const void *>(address), int64_t(bytes));
  if (wrong)
    return std::nullopt;
  return Failure{CUDA_ERROR_ILLEGAL_ADDRESS,
                 fmt::format("{}: {} bytes at {:#x}: {}", who, bytes, address, wrong.error())};
}

CUresult runUntil(Driver &driver, Context &context, const Point &target) {
  while (context.broken == CUDA_SUCCESS && !target.reached())
    runFrom(driver, context, driver.scheduler->next(context.queues, target));
  context.see(target);
  return context.broken;
}

CUresult runAll(Driver &driver, Context &context) {
  for (size_t index = 0; index < context.queues.size(); ++index) {
    std::shared_ptr<Queue> queue = context.queues[index];
    if (CUresult result = runUntil(driver, context, endOf(queue)); result != CUDA_SUCCESS)
      return result;
  }
  return CUDA_SUCCESS;
}

void runOne(Driver &driver, Context &context, const Point &target) {
  if (context.broken == CUDA_SUCCESS && !target.reached())
    runFrom(driver, context, driver.scheduler->next(context.queues, target));
}

} // namespace cudasim
