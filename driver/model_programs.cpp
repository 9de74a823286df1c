#include "driver/model_programs.h"

#include "driver/resident_memory.h"

namespace gradc {

std::vector<VariableSpec> slotsOf(const Module &module) {
  std::vector<VariableSpec> slots;
  for (const Variable &variable : module.variables)
    if (variable.kind == VarKind::Slot)
      slots.push_back({.kind = VariableSpec::Kind::Slot,
                       .name = variable.name,
                       .shape = {variable.type.shape.begin(), variable.type.shape.end()},
                       .init = {.kind = InitSpec::Kind::Zeros}});
  return slots;
}

CompileFlags withoutPrinting(CompileFlags flags) {
  PassManagerOptions &o = flags.passes;
  o.printAfterAll = o.printAfterChange = o.printBeforeAll = o.timing = o.statistics = false;
  o.printDir.clear();
  o.remarks.clear();
  return flags;
}

ModelPrograms::ModelPrograms(const LoadedModel &model, CompileFlags flags, CodeOptions options)
    : model_(model), flags_(std::move(flags)), options_(std::move(options)), worker_([this] { work(); }) {}

ModelPrograms::~ModelPrograms() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  worker_.join();
}

ModelPrograms::Job &ModelPrograms::request(ProgramKind kind, int64_t batch) {
  std::unique_ptr<Job> &job = jobs_[{kind, batch}];
  if (!job) {
    job = std::make_unique<Job>();
    job->kind = kind;
    job->batch = batch;
    job->first = jobs_.size() == 1;
    queue_.push_back(job.get());
    changed_.notify_all();
  }
  return *job;
}

void ModelPrograms::prefetch(ProgramKind kind, int64_t batch) {
  std::lock_guard lock(mutex_);
  request(kind, batch);
}

StatusOr<const gradc_program *> ModelPrograms::get(ProgramKind kind, int64_t batch) {
  std::unique_lock lock(mutex_);
  Job &job = request(kind, batch);
  changed_.wait(lock, [&] { return job.done; });
  if (!job.status.ok())
    return std::unexpected(job.status);
  return &job.program->program();
}

StatusOr<std::vector<VariableSpec>> ModelPrograms::slots(int64_t batch) {
  std::unique_lock lock(mutex_);
  Job &job = request(ProgramKind::TrainStep, batch);
  changed_.wait(lock, [&] { return job.planned || job.done; });
  if (!job.planned)
    return std::unexpected(job.status);
  return job.slots;
}

void ModelPrograms::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    if (stop_)
      return;
    Job &job = *queue_.front();
    queue_.pop_front();
    lock.unlock();
    compile(job);
    giveBackMemory();
    lock.lock();
    job.done = true;
    changed_.notify_all();
  }
}

/// Runs without the lock: what it writes before `planned` or `done` nobody reads.
void ModelPrograms::compile(Job &job) {
  Diagnostics diag;
  Result<Module> module = planModel(model_, job.kind, job.batch, options_.target,
                                    job.first ? flags_ : withoutPrinting(flags_), diag);
  if (!module) {
    job.status = cannotPlan(job.kind, job.batch, diag);
    return;
  }
  finish(diag);
  {
    std::lock_guard lock(mutex_);
    job.slots = slotsOf(*module);
    job.planned = true;
  }
  changed_.notify_all();

  CodeOptions options = options_;
  if (!job.first)
    options.threads = 1; // training runs meanwhile
  const Function *function = module->function(functionName(job.kind));
  StatusOr<std::unique_ptr<CompiledProgram>> program = compileFor(*module, *function, options);
  if (!program) {
    job.status = program.error();
    return;
  }
  job.program = std::move(*program);
}

} // namespace gradc
