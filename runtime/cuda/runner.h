// A CUDA program with two sets of memory for batches. While the device runs one, the host gathers the next into pinned
// memory and a second stream copies it. The first run launches step by step, which loads what the driver and cuBLAS load
// late; from then on a run is one launch of a graph, one for each set: scalars in, steps, results out.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "runtime/batch_runner.h"
#include "runtime/cuda/executor.h"

namespace gradc::cuda {

class DeviceVariables;
struct Arena;

/// What addresses in memory are multiples of.
constexpr int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

class CudaRunner final : public BatchRunner {
public:
  struct Streams {
    StreamHandle work, copies;
  };
  CudaRunner(const Context &context, std::unique_ptr<Executor> executor, const Arena &arena, Streams streams,
             ThreadPool &pool);
  ~CudaRunner() override;

  Status bind(VariableStore &variables, const DeviceVariables &own, std::span<const InputSpec> inputs);

  int depth() const override { return kDepth; }
  using BatchRunner::start;
  Status start() override;
  Status finish() override;

  void setProfiling(bool on) override;
  std::vector<StepTime> stepTimes() const override;

protected:
  void *argumentMemory(int64_t index) override;
  const void *resultMemory(int64_t index) const override;

private:
  static constexpr int kDepth = 2;

  /// Ports in one piece of memory, each at an offset.
  struct Block {
    std::vector<int64_t> offsets; // by port; -1: not in it
    int64_t bytes = 0;
    void add(size_t port, int64_t size);
  };
  /// Memory of one batch on both sides.
  struct Slot {
    PinnedMemory inputs, scalars, results;
    DeviceMemory deviceInputs;
    Event copied, done;
    GraphExec graph;
    int arenaGeneration = 0; // that the graph was made for
    bool profiled = false;
    std::vector<Event> times; // before each step and after the last
  };

  Status makeSlot(Slot &slot);
  Status bindVariables(VariableStore &variables, const DeviceVariables &own);
  void bindPorts(const Slot &slot);
  Status copyInputs(Slot &slot);
  /// Scalars in, the steps, results out.
  Status enqueue(Slot &slot);
  Status enqueueSteps(Slot &slot);
  Status capture(Slot &slot);
  Status check(Code code, const char *what) const { return context_.check(code, what); }
  Status addTimes(Slot &slot);

  const Context &context_;
  std::unique_ptr<Executor> executor_;
  const Arena &arena_;
  const Streams streams_;
  Block inputs_, scalars_, results_;
  std::vector<std::byte> scalarValues_; // what the next run gets
  DeviceMemory deviceScalars_, deviceResults_;
  std::array<Slot, kDepth> slots_;
  int64_t started_ = 0, finished_ = 0;
  bool profiling_ = false;
  std::vector<StepProfile> profile_;
};

} // namespace gradc::cuda
