#include "runtime/cuda/runner.h"

#include <algorithm>
#include <cstring>

#include "runtime/cuda/device.h"
#include "support/check.h"

namespace gradc::cuda {
namespace {

constexpr int kCaptureThreadLocal = 1; // CUstreamCaptureMode

} // namespace

void CudaRunner::Block::add(size_t port, int64_t size) {
  offsets.resize(std::max(offsets.size(), port + 1), -1);
  offsets[port] = bytes;
  bytes += aligned(size);
}

CudaRunner::CudaRunner(const Context &context, std::unique_ptr<Executor> executor, const Arena &arena,
                       Streams streams, ThreadPool &pool)
    : BatchRunner(executor->program(), pool), context_(context), executor_(std::move(executor)),
      arena_(arena), streams_(streams) {}

CudaRunner::~CudaRunner() {
  // Memory goes back when nothing works on it any more; errors have been told.
  (void)context_.driver().streamSynchronize(streams_.copies);
  (void)context_.driver().streamSynchronize(streams_.work);
}

Status CudaRunner::bind(VariableStore &variables, const DeviceVariables &own,
                        std::span<const InputSpec> inputs) {
  feed(inputs);
  for (int64_t i = 0; i < program().num_args; ++i)
    (isFed(i) || program().args[i].rank > 0 ? inputs_ : scalars_)
        .add(static_cast<size_t>(i), program().args[i].bytes);
  for (int64_t i = 0; i < program().num_results; ++i)
    results_.add(static_cast<size_t>(i), program().results[i].bytes);
  scalarValues_.resize(static_cast<size_t>(scalars_.bytes));
  const int64_t batch = 2 * inputs_.bytes + scalars_.bytes + results_.bytes,
                peak = batch + program().arena_bytes;
  for (auto [memory, bytes] : {std::pair{&deviceScalars_, scalars_.bytes},
                               {&deviceResults_, results_.bytes},
                               {&slots_[0].deviceInputs, inputs_.bytes},
                               {&slots_[1].deviceInputs, inputs_.bytes}}) {
    StatusOr<DeviceMemory> made = DeviceMemory::allocate(context_, bytes, "a batch", peak);
    if (!made)
      return made.error();
    *memory = std::move(*made);
  }
  for (Slot &slot : slots_)
    if (Status made = makeSlot(slot); !made.ok())
      return made;
  return bindVariables(variables, own);
}

Status CudaRunner::makeSlot(Slot &slot) {
  for (auto [memory, bytes] : {std::pair{&slot.inputs, inputs_.bytes},
                               {&slot.scalars, scalars_.bytes},
                               {&slot.results, results_.bytes}}) {
    StatusOr<PinnedMemory> made = PinnedMemory::allocate(context_, bytes);
    if (!made)
      return made.error();
    *memory = std::move(*made);
  }
  for (Event *event : {&slot.copied, &slot.done}) {
    StatusOr<Event> made = makeEvent(context_);
    if (!made)
      return made.error();
    *event = std::move(*made);
  }
  return okStatus();
}

Status CudaRunner::bindVariables(VariableStore &variables, const DeviceVariables &own) {
  for (int64_t i = 0; i < program().num_vars; ++i) {
    StatusOr<StoredVariable *> variable = variableOf(program(), i, variables);
    if (!variable)
      return variable.error();
    executor_->bindVar(i, own.at(**variable));
  }
  return okStatus();
}

void CudaRunner::bindPorts(const Slot &slot) {
  executor_->bindArena(arena_.memory.address());
  for (size_t i = 0; i < inputs_.offsets.size(); ++i)
    if (inputs_.offsets[i] >= 0)
      executor_->bindArg(static_cast<int64_t>(i),
                         slot.deviceInputs.address() + static_cast<Address>(inputs_.offsets[i]));
  for (size_t i = 0; i < scalars_.offsets.size(); ++i)
    if (scalars_.offsets[i] >= 0)
      executor_->bindArg(static_cast<int64_t>(i),
                         deviceScalars_.address() + static_cast<Address>(scalars_.offsets[i]));
  for (size_t i = 0; i < results_.offsets.size(); ++i)
    executor_->bindResult(static_cast<int64_t>(i),
                          deviceResults_.address() + static_cast<Address>(results_.offsets[i]));
}

void *CudaRunner::argumentMemory(int64_t index) {
  const auto i = static_cast<size_t>(index);
  if (i < scalars_.offsets.size() && scalars_.offsets[i] >= 0)
    return scalarValues_.data() + scalars_.offsets[i];
  return slots_[static_cast<size_t>(started_ % kDepth)].inputs.data() + inputs_.offsets[i];
}

const void *CudaRunner::resultMemory(int64_t index) const {
  const auto slot = static_cast<size_t>(std::max<int64_t>(finished_ - 1, 0) % kDepth);
  return slots_[slot].results.data() + results_.offsets[static_cast<size_t>(index)];
}

Status CudaRunner::start() {
  CHECK(started_ - finished_ < kDepth, "{} runs are open", kDepth);
  Slot &slot = slots_[static_cast<size_t>(started_ % kDepth)];
  std::ranges::copy(scalarValues_, slot.scalars.data());
  bindPorts(slot);
  Status status = copyInputs(slot);
  const bool stepByStep = started_ == 0 || profiling_;
  slot.profiled = profiling_;
  if (status.ok() && stepByStep)
    status = enqueue(slot);
  if (status.ok() && !stepByStep && (!slot.graph || slot.arenaGeneration != arena_.generation))
    status = capture(slot);
  if (status.ok() && !stepByStep)
    status = check(context_.driver().graphLaunch(slot.graph.get(), streams_.work), "launching a step");
  if (status.ok())
    status =
        check(context_.driver().eventRecord(slot.done.get(), streams_.work), "marking the end of a step");
  if (status.ok())
    ++started_;
  return status;
}

/// The slot's run before has finished, so nothing reads its inputs any more.
Status CudaRunner::copyInputs(Slot &slot) {
  if (inputs_.bytes == 0)
    return okStatus();
  const Driver &driver = context_.driver();
  Status status = check(driver.memcpyHtoDAsync(slot.deviceInputs.address(), slot.inputs.data(),
                                               static_cast<size_t>(inputs_.bytes), streams_.copies),
                        "copying a batch");
  if (status.ok())
    status = check(driver.eventRecord(slot.copied.get(), streams_.copies), "marking the end of a copy");
  if (status.ok())
    status = check(driver.streamWaitEvent(streams_.work, slot.copied.get(), 0), "waiting for a batch");
  return status;
}

Status CudaRunner::enqueue(Slot &slot) {
  const Driver &driver = context_.driver();
  Status status;
  if (scalars_.bytes > 0)
    status = check(driver.memcpyHtoDAsync(deviceScalars_.address(), slot.scalars.data(),
                                          static_cast<size_t>(scalars_.bytes), streams_.work),
                   "copying scalars");
  if (status.ok())
    status = enqueueSteps(slot);
  if (status.ok() && results_.bytes > 0)
    status = check(driver.memcpyDtoHAsync(slot.results.data(), deviceResults_.address(),
                                          static_cast<size_t>(results_.bytes), streams_.work),
                   "copying results");
  return status;
}

Status CudaRunner::enqueueSteps(Slot &slot) {
  if (!slot.profiled)
    return executor_->enqueueAll(streams_.work);
  const auto steps = static_cast<size_t>(program().num_steps);
  while (slot.times.size() <= steps) {
    StatusOr<Event> event = makeEvent(context_, true);
    if (!event)
      return event.error();
    slot.times.push_back(std::move(*event));
  }
  Status status = check(context_.driver().eventRecord(slot.times[0].get(), streams_.work), "timing a step");
  for (size_t i = 0; status.ok() && i < steps; ++i) {
    status = executor_->enqueue(static_cast<int64_t>(i), streams_.work);
    if (status.ok())
      status = check(context_.driver().eventRecord(slot.times[i + 1].get(), streams_.work), "timing a step");
  }
  return status;
}

Status CudaRunner::capture(Slot &slot) {
  const Driver &driver = context_.driver();
  if (Status begun = check(driver.streamBeginCapture(streams_.work, kCaptureThreadLocal), "recording a step");
      !begun.ok())
    return begun;
  Status status = enqueue(slot);
  GraphHandle graph = nullptr;
  const Status ended = check(driver.streamEndCapture(streams_.work, &graph), "recording a step");
  if (status.ok())
    status = ended;
  GraphExecHandle exec = nullptr;
  if (status.ok())
    status = check(driver.graphInstantiate(&exec, graph, 0), "making a graph of a step");
  if (graph)
    driver.graphDestroy(graph);
  slot.graph = GraphExec(context_, exec);
  slot.arenaGeneration = arena_.generation;
  return status;
}

Status CudaRunner::finish() {
  CHECK(finished_ < started_, "no run is open");
  Slot &slot = slots_[static_cast<size_t>(finished_++ % kDepth)];
  Status status = check(context_.driver().eventSynchronize(slot.done.get()), "running a step");
  return status.ok() && slot.profiled ? addTimes(slot) : status;
}

Status CudaRunner::addTimes(Slot &slot) {
  slot.profiled = false;
  for (size_t i = 0; i < profile_.size(); ++i) {
    float milliseconds = 0;
    if (Status read = check(
            context_.driver().eventElapsedTime(&milliseconds, slot.times[i].get(), slot.times[i + 1].get()),
            "timing a step");
        !read.ok())
      return read;
    profile_[i].add(milliseconds * 1e-3);
  }
  return okStatus();
}

void CudaRunner::setProfiling(bool on) {
  profiling_ = on;
  profile_.assign(on ? static_cast<size_t>(program().num_steps) : 0, {});
}

std::vector<StepTime> CudaRunner::stepTimes() const { return gradc::stepTimes(program(), profile_); }

} // namespace gradc::cuda
