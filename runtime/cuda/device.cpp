#include "runtime/cuda/device.h"

#include <fmt/format.h>

#include "runtime/cuda/runner.h"

namespace gradc::cuda {

StatusOr<DeviceVariables> DeviceVariables::make(const Context &context, StreamHandle stream,
                                                VariableStore &variables) {
  DeviceVariables made;
  int64_t bytes = 0;
  for (const StoredVariable &variable : variables.variables()) {
    made.offsets_[&variable] = static_cast<Address>(bytes);
    bytes += aligned(variable.data.size());
  }
  StatusOr<DeviceMemory> memory = DeviceMemory::allocate(context, bytes, "the model's variables", bytes);
  if (!memory)
    return std::unexpected(memory.error());
  made.memory_ = std::move(*memory);
  for (const StoredVariable &variable : variables.variables()) {
    variables.arrange(*variables.find(variable.spec.name), false);
    if (Status copied =
            context.check(context.driver().memcpyHtoDAsync(made.at(variable), variable.data.data(),
                                                           static_cast<size_t>(variable.data.size()), stream),
                          "copying variables to the device");
        !copied.ok())
      return std::unexpected(copied);
  }
  return made;
}

Status DeviceVariables::fetch(const Context &context, StreamHandle stream) const {
  for (const auto &[variable, offset] : offsets_)
    if (Status copied = context.check(
            context.driver().memcpyDtoHAsync(variable->data.data(), memory_.address() + offset,
                                             static_cast<size_t>(variable->data.size()), stream),
            "copying variables from the device");
        !copied.ok())
      return copied;
  return context.check(context.driver().streamSynchronize(stream), "waiting for the device");
}

StatusOr<std::unique_ptr<CudaDevice>> CudaDevice::open(int index, ThreadPool &pool) {
  StatusOr<std::unique_ptr<Context>> context = Context::open(index);
  if (!context)
    return std::unexpected(context.error());
  std::unique_ptr<CudaDevice> device(new CudaDevice(std::move(*context), pool));
  for (Stream *stream : {&device->stream_, &device->copies_}) {
    StatusOr<Stream> made = makeStream(*device->context_);
    if (!made)
      return std::unexpected(made.error());
    *stream = std::move(*made);
  }
  return device;
}

Status CudaDevice::reserve(const gradc_program &program) {
  if (program.arena_bytes <= arena_.memory.bytes() && arena_.memory.address())
    return okStatus();
  // What runs in the old arena ends first.
  if (Status done =
          context_->check(context_->driver().streamSynchronize(stream_.get()), "waiting for the device");
      !done.ok())
    return done;
  arena_.memory = {};
  int64_t peak = program.arena_bytes;
  for (const auto &[store, variables] : variables_)
    peak += variables.bytes();
  StatusOr<DeviceMemory> memory =
      DeviceMemory::allocate(*context_, program.arena_bytes, "the arena of intermediate values", peak);
  if (!memory)
    return memory.error();
  arena_.memory = std::move(*memory);
  ++arena_.generation;
  return okStatus();
}

StatusOr<DeviceVariables *> CudaDevice::variablesOf(VariableStore &variables) {
  if (const auto known = variables_.find(&variables); known != variables_.end())
    return &known->second;
  StatusOr<DeviceVariables> made = DeviceVariables::make(*context_, stream_.get(), variables);
  if (!made)
    return std::unexpected(made.error());
  return &variables_.emplace(&variables, std::move(*made)).first->second;
}

StatusOr<std::unique_ptr<BatchRunner>> CudaDevice::makeRunner(const gradc_program &table,
                                                              VariableStore &variables,
                                                              std::span<const InputSpec> inputs) {
  const gradc_cuda_program &program = programOf(table);
  StatusOr<DeviceVariables *> own = variablesOf(variables);
  if (!own)
    return std::unexpected(own.error());
  if (Status reserved = reserve(table); !reserved.ok())
    return std::unexpected(reserved);
  if (!blas_ && hasProducts(program)) {
    StatusOr<std::unique_ptr<Blas>> blas = Blas::make(*context_);
    if (!blas)
      return std::unexpected(blas.error());
    blas_ = std::move(*blas);
  }
  StatusOr<std::unique_ptr<Executor>> executor = Executor::make(*context_, blas_.get(), program);
  if (!executor)
    return std::unexpected(executor.error());
  auto runner = std::make_unique<CudaRunner>(*context_, std::move(*executor), arena_,
                                             CudaRunner::Streams{stream_.get(), copies_.get()}, pool_);
  if (Status bound = runner->bind(variables, **own, inputs); !bound.ok())
    return std::unexpected(bound);
  return runner;
}

Status CudaDevice::fetch(const VariableStore &variables) {
  const auto known = variables_.find(&variables);
  return known == variables_.end() ? okStatus() : known->second.fetch(*context_, stream_.get());
}

std::string CudaDevice::description() const {
  return fmt::format("cuda:{} ({}, sm_{})", context_->index(), context_->name(), context_->architecture());
}

} // namespace gradc::cuda
