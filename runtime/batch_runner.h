// A program together with the memory of its batch: gathers examples, runs, hands out the scalar results.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/batch.h"
#include "runtime/executor.h"
#include "runtime/variables.h"

namespace gradc {

class BatchRunner {
public:
  /// Binds the program's variables to those of the store by name, and makes memory for its arguments and results.
  /// Arguments that `inputs` names are fed from data sets whose fields are parallel to `inputs`; all others are
  /// scalars. Everything given must outlive the runner.
  static StatusOr<std::unique_ptr<BatchRunner>> make(const gradc_program &program, ThreadPool &pool,
                                                     Workspace &workspace, const VariableStore &variables,
                                                     std::span<const InputSpec> inputs);

  /// Scalars keep their value between runs. A name that the program has not is ignored: a function has only the
  /// hyper-parameters that it uses.
  void setFloat(std::string_view name, float value);
  void setInteger(std::string_view name, int64_t value);

  /// As many examples as the program's batch size.
  void run(const Dataset &dataset, std::span<const int64_t> examples);
  /// Runs on what the batch's memory already holds.
  void run() { executor_.run(); }

  /// Memory of an argument or a result, or null when the program has none of this name.
  void *argument(std::string_view name) const;
  const void *result(std::string_view name) const;
  /// A scalar f32 result; the program must have it.
  float scalar(std::string_view name) const;

  Executor &executor() { return executor_; }
  const Executor &executor() const { return executor_; }

private:
  BatchRunner(const gradc_program &program, ThreadPool &pool, Workspace &workspace)
      : pool_(pool), executor_(program, pool, workspace) {}
  Status bindVariables(const VariableStore &variables);
  Status makeMemory(std::span<const InputSpec> inputs);

  ThreadPool &pool_;
  Executor executor_;
  std::vector<Buffer> arguments_, results_;
  struct Fed {
    size_t field = 0;
    int64_t argument = 0;
  };
  std::vector<Fed> fed_;
  std::vector<BatchInput> batch_;
};

} // namespace gradc
