// A model's programs, compiled by the JIT in the background.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "driver/plan_model.h"
#include "runtime/programs.h"
#include "support/config.h"

namespace gradc {

/// The variables that the optimizer added to a module.
std::vector<VariableSpec> slotsOf(const Module &module);
/// The flags without what prints: --print-ir-dir shows one program.
CompileFlags withoutPrinting(CompileFlags flags);

class ModelPrograms : public ProgramSource {
public:
  /// One thread compiles what is asked for, in that order; each program's kernels with options.threads workers. The
  /// model must outlive this. Printing flags apply to the first program only.
  ModelPrograms(const LoadedModel &model, CompileFlags flags, CodeOptions options);
  ~ModelPrograms() override;

  StatusOr<const gradc_program *> get(ProgramKind kind, int64_t batch) override;
  void prefetch(ProgramKind kind, int64_t batch) override;

  /// The variables that the optimizer adds, once the passes of the training step have run.
  StatusOr<std::vector<VariableSpec>> slots(int64_t batch);

private:
  struct Job {
    ProgramKind kind = ProgramKind::TrainStep;
    int64_t batch = 0;
    bool first = false;
    bool planned = false, done = false;
    Status status;
    std::vector<VariableSpec> slots;
    std::unique_ptr<CompiledProgram> program;
  };

  Job &request(ProgramKind kind, int64_t batch); // with the lock held
  void work();
  void compile(Job &job);

  const LoadedModel &model_;
  const CompileFlags flags_;
  const CodeOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<ProgramKind, int64_t>, std::unique_ptr<Job>> jobs_;
  std::deque<Job *> queue_;
  bool stop_ = false;
  std::thread worker_;
};

} // namespace gradc
