// Where programs run: the processor, or a CUDA device. The training loop knows nothing else of either.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/batch_runner.h"

namespace gradc {

class Device {
public:
  virtual ~Device() = default;

  /// A program bound to the store's variables. Arguments that `inputs` names are fed from data sets whose fields are
  /// parallel to `inputs`; all others are scalars. Everything given must outlive the runner.
  virtual StatusOr<std::unique_ptr<BatchRunner>>
  makeRunner(const gradc_program &program, VariableStore &variables, std::span<const InputSpec> inputs) = 0;

  /// Brings the store up to date with what the device's programs have written into its variables. No run may be open.
  virtual Status fetch(const VariableStore & /*variables*/) { return okStatus(); }

  /// VariableStore::dropTiny, where tiny numbers slow the device down; between the starts of two runs.
  virtual void dropTiny(VariableStore & /*variables*/) {}

  /// "2 threads", "cuda:0 (NVIDIA H100, sm_90)"
  virtual std::string description() const = 0;
};

/// The pool's threads. It owns the memory that its programs share.
class CpuDevice final : public Device {
public:
  explicit CpuDevice(ThreadPool &pool) : pool_(pool) {}
  StatusOr<std::unique_ptr<BatchRunner>> makeRunner(const gradc_program &program, VariableStore &variables,
                                                    std::span<const InputSpec> inputs) override;
  void dropTiny(VariableStore &variables) override { variables.dropTiny(); }
  std::string description() const override;

private:
  ThreadPool &pool_;
  Workspace workspace_;
};

} // namespace gradc
