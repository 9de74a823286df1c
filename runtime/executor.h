// Runs a compiled program: binds variables, arguments and results, resolves every buffer reference once, and then
// runs the steps in order, cutting each over the pool's threads where it is large enough to gain by it.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/abi.h"
#include "runtime/buffer.h"
#include "runtime/records.h"
#include "runtime/thread_pool.h"

namespace gradc {

/// Memory that programs use while they run and that keeps nothing between runs, so several programs share one.
class Workspace {
public:
  /// Makes room for the program. Memory may move: executors made before must be bound again.
  Status reserve(const gradc_program &program, ThreadPool &pool);

  std::byte *arena() const { return arena_.data(); }
  int64_t arenaBytes() const { return arena_.size(); }
  gradc_ctx context(int worker) const { return {scratch_.data() + worker * scratchStride_}; }
  /// Counts how often the memory has moved.
  int generation() const { return generation_; }

private:
  Buffer arena_, scratch_;
  int64_t scratchStride_ = 0;
  int generation_ = 0;
};

struct StepProfile {
  int64_t runs = 0;
  double seconds = 0;
  double fastest = 0; // seconds of the fastest run
  void add(double time);
};

/// Times under the model's names, in the order of the steps; empty where there is no profile.
std::vector<StepTime> stepTimes(const gradc_program &program, const std::vector<StepProfile> &profile);

class Executor {
public:
  /// The program, the pool and the workspace must outlive the executor; the workspace must have been reserved.
  Executor(const gradc_program &program, ThreadPool &pool, Workspace &workspace);

  const gradc_program &program() const { return program_; }

  void bindVar(int64_t index, void *data) { bind(vars_, index, data); }
  void bindArg(int64_t index, const void *data) { bind(args_, index, const_cast<void *>(data)); }
  void bindResult(int64_t index, void *data) { bind(results_, index, data); }

  /// Index of the port with this name, or -1.
  int64_t findVar(const char *name) const { return find(program_.vars, program_.num_vars, name); }
  int64_t findArg(const char *name) const { return find(program_.args, program_.num_args, name); }
  int64_t findResult(const char *name) const { return find(program_.results, program_.num_results, name); }

  /// Every port that a step refers to must be bound.
  void run();

  void setProfiling(bool on);
  /// One entry per step, empty when profiling is off.
  const std::vector<StepProfile> &profile() const { return profile_; }
  std::vector<StepTime> stepTimes() const { return gradc::stepTimes(program_, profile_); }

private:
  static int64_t find(const gradc_port *ports, int64_t count, const char *name);
  void bind(std::vector<void *> &table, int64_t index, void *data);
  void *resolve(const gradc_ref &ref) const;
  void resolveAll();
  void runStep(const gradc_step &step);

  const gradc_program &program_;
  ThreadPool &pool_;
  Workspace &workspace_;
  std::vector<void *> vars_, args_, results_;
  std::vector<void *> pointers_;    // parallel to program_.refs
  std::vector<gradc_ctx> contexts_; // per worker
  bool resolved_ = false;
  int workspaceGeneration_ = -1;
  std::vector<StepProfile> profile_;
};

} // namespace gradc
