#include "runtime/device.h"

#include <cstring>

#include <fmt/format.h>

namespace gradc {
namespace {

/// A program on the pool's threads, with one set of memory: a run is done when start() returns.
class CpuRunner final : public BatchRunner {
public:
  CpuRunner(const gradc_program &program, VariableStore &variables, ThreadPool &pool, Workspace &workspace)
      : BatchRunner(program, pool), variables_(variables), executor_(program, pool, workspace) {}

  Status bind(std::span<const InputSpec> inputs) {
    const Status bound = bindVariables();
    return bound.ok() ? makeMemory(inputs) : bound;
  }

  Status start() override {
    for (const auto &[variable, inLanes] : layouts_)
      variables_.arrange(*variable, inLanes);
    executor_.run();
    return okStatus();
  }
  Status finish() override { return okStatus(); }
  void setProfiling(bool on) override { executor_.setProfiling(on); }
  std::vector<StepTime> stepTimes() const override { return executor_.stepTimes(); }

protected:
  void *argumentMemory(int64_t index) override { return arguments_[static_cast<size_t>(index)].data(); }
  const void *resultMemory(int64_t index) const override {
    return results_[static_cast<size_t>(index)].data();
  }

private:
  Status bindVariables() {
    for (int64_t i = 0; i < program().num_vars; ++i) {
      StatusOr<StoredVariable *> variable = variableOf(program(), i, variables_);
      if (!variable)
        return variable.error();
      layouts_.emplace_back(*variable, isInLanes(program().vars[i]));
      executor_.bindVar(i, (*variable)->data.data()); // arranged before each run
    }
    return okStatus();
  }

  Status makeMemory(std::span<const InputSpec> inputs) {
    for (int64_t i = 0; i < program().num_args; ++i) {
      StatusOr<Buffer> memory = Buffer::allocate(program().args[i].bytes, &pool());
      if (!memory)
        return memory.error();
      executor_.bindArg(i, memory->data());
      arguments_.push_back(std::move(*memory));
    }
    for (int64_t i = 0; i < program().num_results; ++i) {
      StatusOr<Buffer> memory = Buffer::allocate(program().results[i].bytes, &pool());
      if (!memory)
        return memory.error();
      executor_.bindResult(i, memory->data());
      results_.push_back(std::move(*memory));
    }
    feed(inputs);
    return okStatus();
  }

  VariableStore &variables_;
  std::vector<std::pair<StoredVariable *, bool>> layouts_; // that the program wants
  Executor executor_;
  std::vector<Buffer> arguments_, results_;
};

} // namespace

StatusOr<std::unique_ptr<BatchRunner>> CpuDevice::makeRunner(const gradc_program &program,
                                                             VariableStore &variables,
                                                             std::span<const InputSpec> inputs) {
  auto runner = std::make_unique<CpuRunner>(program, variables, pool_, workspace_);
  Status status = workspace_.reserve(program, pool_);
  if (status.ok())
    status = runner->bind(inputs);
  if (!status.ok())
    return std::unexpected(status);
  return runner;
}

std::string CpuDevice::description() const { return fmt::format("{} threads", pool_.threads()); }

} // namespace gradc
