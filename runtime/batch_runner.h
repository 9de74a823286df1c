// A program together with the memory of its batch: gathers examples, runs, hands out the scalar results.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/batch.h"
#include "runtime/executor.h"
#include "runtime/variables.h"

namespace gradc {

/// Whether the tensor lies in layout n16.
bool isInLanes(const gradc_port &port);

class BatchRunner {
public:
  virtual ~BatchRunner() = default;

  const gradc_program &program() const { return program_; }

  /// Scalars keep their value between runs. A name that the program has not is ignored: a function has only the
  /// hyper-parameters that it uses.
  void setFloat(std::string_view name, float value);
  void setInteger(std::string_view name, int64_t value);

  /// How many runs may be open, that is started and not finished: 2 where a device works while the host prepares.
  virtual int depth() const { return 1; }
  /// Gathers as many examples as the program's batch size, and starts.
  Status start(const Dataset &dataset, std::span<const int64_t> examples);
  /// Starts on what the batch's memory already holds.
  virtual Status start() = 0;
  /// Waits for the oldest open run. Results are then its own, until as many runs as depth() says have started.
  virtual Status finish() = 0;

  Status run(const Dataset &dataset, std::span<const int64_t> examples);
  Status run();

  /// Memory of an argument for the next run, or of a result; null when the program has none of this name.
  void *argument(std::string_view name);
  const void *result(std::string_view name) const;
  /// A scalar f32 result; the program must have it.
  float scalar(std::string_view name) const;

  virtual void setProfiling(bool on) = 0;
  /// Mean times of the steps, in their order; empty when profiling is off.
  virtual std::vector<StepTime> stepTimes() const = 0;

protected:
  /// Both must outlive the runner.
  BatchRunner(const gradc_program &program, ThreadPool &pool);

  ThreadPool &pool() const { return pool_; }
  virtual void *argumentMemory(int64_t index) = 0;
  virtual const void *resultMemory(int64_t index) const = 0;
  /// Says which arguments come from data sets.
  void feed(std::span<const InputSpec> inputs);
  bool isFed(int64_t argument) const;
  /// The store's variable for a port; they are made of one model.
  static StatusOr<StoredVariable *> variableOf(const gradc_program &program, int64_t index,
                                               VariableStore &variables);

private:
  const gradc_program &program_;
  ThreadPool &pool_;
  const bool runsOnOneThread_;
  struct Fed {
    size_t field = 0;
    int64_t argument = 0;
  };
  std::vector<Fed> fed_;
  std::vector<BatchInput> batch_;
};

/// Keeps as many runs open as their runners take, and hands out their results in the order of their starts.
template <class Info> class OpenRuns {
public:
  using Take = std::function<Status(BatchRunner &, const Info &)>;
  /// `take` looks at the results of a run that has finished.
  explicit OpenRuns(Take take) : take_(std::move(take)) {}

  int64_t open() const { return static_cast<int64_t>(runs_.size()); }

  Status start(BatchRunner &runner, const Dataset &dataset, std::span<const int64_t> examples, Info info) {
    if (Status started = runner.start(dataset, examples); !started.ok())
      return started;
    runs_.emplace_back(&runner, std::move(info));
    return finishUntil(runner.depth() - 1);
  }
  Status finishAll() { return finishUntil(0); }

private:
  Status finishUntil(int64_t most) {
    while (open() > most) {
      auto [runner, info] = std::move(runs_.front());
      runs_.pop_front();
      Status status = runner->finish();
      if (status.ok())
        status = take_(*runner, info);
      if (!status.ok())
        return status;
    }
    return okStatus();
  }

  Take take_;
  std::deque<std::pair<BatchRunner *, Info>> runs_;
};

} // namespace gradc
