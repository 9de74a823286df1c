// The backend "cuda" of gradc run: plans the function, compiles it for the first CUDA device, and runs it there.
#include "driver/backend.h"
#include "driver/code_target.h"
#include "driver/cuda_target.h"
#include "driver/plan_function.h"
#include "driver/run_memory.h"
#include "runtime/cuda/executor.h"
#include "support/clock.h"

namespace gradc {
namespace {

/// A program's ports on the device, each a copy of the host's.
class DevicePorts {
public:
  DevicePorts(const cuda::Context &context, cuda::StreamHandle stream) : context_(context), stream_(stream) {}

  StatusOr<cuda::Address> add(const Buffer &buffer) {
    StatusOr<cuda::DeviceMemory> memory =
        cuda::DeviceMemory::allocate(context_, buffer.size(), "an argument or result", buffer.size());
    if (!memory)
      return std::unexpected(memory.error());
    const cuda::Address address = memory->address();
    const Status copied =
        context_.check(context_.driver().memcpyHtoDAsync(address, buffer.data(),
                                                         static_cast<size_t>(buffer.size()), stream_),
                       "copying to the device");
    copies_.emplace_back(&buffer, std::move(*memory));
    return copied.ok() ? StatusOr<cuda::Address>(address) : std::unexpected(copied);
  }
  /// Back to the host.
  Status fetch() const {
    for (const auto &[buffer, memory] : copies_)
      if (Status copied =
              context_.check(context_.driver().memcpyDtoHAsync(buffer->data(), memory.address(),
                                                               static_cast<size_t>(buffer->size()), stream_),
                             "copying from the device");
          !copied.ok())
        return copied;
    return context_.check(context_.driver().streamSynchronize(stream_), "running the function");
  }

private:
  const cuda::Context &context_;
  cuda::StreamHandle stream_;
  std::vector<std::pair<const Buffer *, cuda::DeviceMemory>> copies_;
};

Status execute(const cuda::Context &context, const gradc_cuda_program &program, const RunMemory &memory,
               RunTimes *times) {
  std::unique_ptr<cuda::Blas> blas;
  if (cuda::hasProducts(program)) {
    StatusOr<std::unique_ptr<cuda::Blas>> made = cuda::Blas::make(context);
    if (!made)
      return made.error();
    blas = std::move(*made);
  }
  StatusOr<std::unique_ptr<cuda::Executor>> executor = cuda::Executor::make(context, blas.get(), program);
  if (!executor)
    return executor.error();
  StatusOr<cuda::DeviceMemory> arena = cuda::DeviceMemory::allocate(
      context, program.table.arena_bytes, "the arena of intermediate values", program.table.arena_bytes);
  if (!arena)
    return arena.error();
  StatusOr<cuda::Stream> stream = cuda::makeStream(context);
  if (!stream)
    return stream.error();
  (*executor)->bindArena(arena->address());
  DevicePorts ports(context, stream->get());
  auto bindAll = [&](const std::vector<Buffer *> &buffers,
                     void (cuda::Executor::*bind)(int64_t, cuda::Address)) {
    for (size_t i = 0; i < buffers.size(); ++i) {
      StatusOr<cuda::Address> address = ports.add(*buffers[i]);
      if (!address)
        return address.error();
      ((**executor).*bind)(static_cast<int64_t>(i), *address);
    }
    return okStatus();
  };
  Status status = bindAll(memory.vars(), &cuda::Executor::bindVar);
  if (status.ok())
    status = bindAll(memory.args(), &cuda::Executor::bindArg);
  if (status.ok())
    status = bindAll(memory.results(), &cuda::Executor::bindResult);
  if (status.ok())
    status = (*executor)->enqueueAll(stream->get());
  if (status.ok())
    status = ports.fetch();
  if (!status.ok() || !times)
    return status;
  return times->sample(kTimedSeconds, 1, [&] {
    const Status enqueued = (*executor)->enqueueAll(stream->get());
    return enqueued.ok()
               ? context.check(context.driver().streamSynchronize(stream->get()), "running the function")
               : enqueued;
  });
}

StatusOr<std::vector<Tensor>> compileAndRun(const Module &module, const Function &fn,
                                            const RunRequest &request, const cuda::Context &context,
                                            const CudaTarget &target, Clock::time_point start) {
  ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  StatusOr<std::unique_ptr<CompiledProgram>> compiled =
      compileFor(module, fn, {.target = target, .cache = cache.enabled() ? &cache : nullptr});
  if (!compiled)
    return std::unexpected(compiled.error());
  if (request.times)
    request.times->compileMs = secondsSince(start) * 1e3;
  RunMemory memory(fn, (*compiled)->program());
  Status status = memory.fill(request.arguments);
  if (status.ok())
    status = execute(context, cuda::programOf((*compiled)->program()), memory, request.times);
  if (!status.ok())
    return std::unexpected(status);
  return memory.tensors();
}

} // namespace

StatusOr<std::vector<Tensor>> runCuda(const RunRequest &request, Diagnostics &diag) {
  const Clock::time_point start = Clock::now();
  StatusOr<std::unique_ptr<cuda::Context>> context = cuda::Context::open(0);
  if (!context)
    return std::unexpected(context.error());
  const CudaTarget target = cudaTargetOf(**context);
  if (Status can = checkPrecision(request.precision, target); !can.ok())
    return std::unexpected(can);
  Module module = request.module.clone();
  PassManager manager({});
  if (auto planned = planFunction(module, request.fn.name, false, "", target, manager, diag,
                                  {.precision = request.precision});
      !planned)
    return reported();
  return compileAndRun(module, *module.function(request.fn.name), request, **context, target, start);
}

} // namespace gradc
