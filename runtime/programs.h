// Where the training loop gets compiled programs from: the JIT's compile threads, a stand-alone executable's tables,
// a test's own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include "runtime/device.h"
#include "runtime/embed/state.h"

namespace gradc {

enum class ProgramKind : uint8_t { TrainStep, Eval, Infer };

struct InstanceKey {
  ProgramKind kind = ProgramKind::Infer;
  int64_t batch = 1;
  bool operator==(const InstanceKey &) const = default;
};

class ProgramSource {
public:
  virtual ~ProgramSource() = default;
  /// The program for this many examples; waits until it is compiled. It lives as long as the source.
  virtual StatusOr<const gradc_program *> get(ProgramKind kind, int64_t batch) = 0;
  /// Says that this program will be asked for, so that it can be compiled meanwhile.
  virtual void prefetch(ProgramKind, int64_t /*batch*/) {}
  /// Refuses what get() will refuse, before any time is spent on the rest. Who compiles at need has every size.
  virtual Status check(std::span<const InstanceKey> /*needed*/) const { return okStatus(); }
};

/// Programs bound to a model's variables, made at their first use.
class Runners {
public:
  Runners(ProgramSource &source, Device &device, VariableStore &variables, std::span<const InputSpec> inputs)
      : source_(source), device_(device), variables_(variables), inputs_(inputs) {}

  StatusOr<BatchRunner *> get(ProgramKind kind, int64_t batch);
  void prefetch(ProgramKind kind, int64_t batch) { source_.prefetch(kind, batch); }
  /// Brings the variables in the host's memory up to date. No run may be open.
  Status fetchVariables() { return device_.fetch(variables_); }

  /// To be called before each training step (runtime/embed/state.h).
  void beforeStep(int64_t step) {
    if (gradc_drops_before(static_cast<uint64_t>(step)))
      device_.dropTiny(variables_);
  }

private:
  ProgramSource &source_;
  Device &device_;
  VariableStore &variables_;
  std::span<const InputSpec> inputs_;
  std::map<std::pair<ProgramKind, int64_t>, std::unique_ptr<BatchRunner>> runners_;
};

} // namespace gradc
