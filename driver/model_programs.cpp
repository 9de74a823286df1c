#include "driver/model_programs.h"

#include <chrono>
#include <cstring>

#ifdef __GLIBC__
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace gradc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

#ifdef __GLIBC__
/// Takes LLVM's code out of the process's memory, 40 MB after a compilation. It stays in the page cache, from where the
/// next one gets back what it runs.
int giveBackCode(dl_phdr_info *library, size_t, void *) {
  if (!std::strstr(library->dlpi_name, "libLLVM"))
    return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & (PF_X | PF_W)) != PF_X)
      continue; // data may have been written, by the dynamic linker at least
    const uintptr_t begin = library->dlpi_addr + segment.p_vaddr, end = begin + segment.p_memsz;
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last)
      (void)madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
  }
  return 0;
}
#endif

/// What compiling has freed and used would stay resident beside the memory that training takes next.
void giveBackMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
  dl_iterate_phdr(giveBackCode, nullptr);
#endif
}

} // namespace

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

ModelPrograms::Timing ModelPrograms::timing(ProgramKind kind, int64_t batch) {
  std::lock_guard lock(mutex_);
  return request(kind, batch).timing;
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
  const Clock::time_point start = Clock::now();
  Diagnostics diag;
  Result<Module> module = planModel(model_, job.kind, job.batch, options_.target,
                                    job.first ? flags_ : withoutPrinting(flags_), diag);
  if (!module) {
    job.status = cannotPlan(job.kind, job.batch, diag);
    return;
  }
  finish(diag);
  job.timing.passSeconds = secondsSince(start);
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
  job.timing.code = job.program->statistics();
}

} // namespace gradc
