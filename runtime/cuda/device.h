// A CUDA device as the training loop's: variables in its memory, one arena, runners that overlap the copying of a batch
// with the run before.
#pragma once

#include <map>
#include <memory>

#include "runtime/cuda/blas.h"
#include "runtime/cuda/context.h"
#include "runtime/device.h"

namespace gradc::cuda {

/// The store's variables on the device, all in one allocation.
class DeviceVariables {
public:
  /// Copies the store's values to the device, which may write them from then on.
  static StatusOr<DeviceVariables> make(const Context &context, StreamHandle stream,
                                        VariableStore &variables);
  Address at(const StoredVariable &variable) const { return memory_.address() + offsets_.at(&variable); }
  /// Copies them back, once all that is in the stream has run.
  Status fetch(const Context &context, StreamHandle stream) const;
  int64_t bytes() const { return memory_.bytes(); }

private:
  DeviceMemory memory_;
  std::map<const StoredVariable *, Address> offsets_;
};

/// The memory of intermediate values, which all programs share: they run one after the other.
struct Arena {
  DeviceMemory memory;
  int generation = 0; // how often it has moved
};

class CudaDevice final : public Device {
public:
  /// Exit code 6 where there is no such device. The pool gathers batches.
  static StatusOr<std::unique_ptr<CudaDevice>> open(int index, ThreadPool &pool);

  const Context &context() const { return *context_; }

  /// The program's table is the first member of a gradc_cuda_program.
  StatusOr<std::unique_ptr<BatchRunner>> makeRunner(const gradc_program &program, VariableStore &variables,
                                                    std::span<const InputSpec> inputs) override;
  Status fetch(const VariableStore &variables) override;
  std::string description() const override;

private:
  CudaDevice(std::unique_ptr<Context> context, ThreadPool &pool)
      : context_(std::move(context)), pool_(pool) {}
  Status reserve(const gradc_program &program);
  StatusOr<DeviceVariables *> variablesOf(VariableStore &variables);

  std::unique_ptr<Context> context_; // first: all else refers to it
  ThreadPool &pool_;
  Stream stream_, copies_;
  std::unique_ptr<Blas> blas_; // from the first program on that has a product
  Arena arena_;
  std::map<const VariableStore *, DeviceVariables> variables_;
};

} // namespace gradc::cuda
