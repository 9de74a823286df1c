#include "runtime/executor.h"

#include <algorithm>
#include <cstring>

#include "support/check.h"
#include "support/clock.h"

namespace gradc {

Status Workspace::reserve(const gradc_program &program, ThreadPool &pool) {
  if (program.arena_bytes > arena_.size()) {
    StatusOr<Buffer> arena = Buffer::allocate(program.arena_bytes, &pool);
    if (!arena)
      return arena.error();
    arena_ = std::move(*arena);
    ++generation_;
  }
  // A page between workers' scratch, so that no two threads write one cache line.
  const int64_t stride = (program.scratch_bytes + 4095) / 4096 * 4096;
  if (stride > scratchStride_) {
    StatusOr<Buffer> scratch = Buffer::allocate(stride * pool.threads(), &pool);
    if (!scratch)
      return scratch.error();
    scratch_ = std::move(*scratch);
    scratchStride_ = stride;
    ++generation_;
  }
  return okStatus();
}

Executor::Executor(const gradc_program &program, ThreadPool &pool, Workspace &workspace)
    : program_(program), pool_(pool), workspace_(workspace), vars_(program.num_vars), args_(program.num_args),
      results_(program.num_results) {
  int64_t refs = 0;
  for (int64_t i = 0; i < program.num_steps; ++i)
    refs = std::max<int64_t>(refs, program.steps[i].first_ref + program.steps[i].num_refs);
  pointers_.resize(refs);
  contexts_.resize(pool.threads());
}

int64_t Executor::find(const gradc_port *ports, int64_t count, const char *name) {
  for (int64_t i = 0; i < count; ++i)
    if (std::strcmp(ports[i].name, name) == 0)
      return i;
  return -1;
}

void Executor::bind(std::vector<void *> &table, int64_t index, void *data) {
  CHECK(index >= 0 && index < static_cast<int64_t>(table.size()), "port {} of {}", index, table.size());
  resolved_ = resolved_ && table[index] == data;
  table[index] = data;
}

void *Executor::resolve(const gradc_ref &ref) const {
  void *base = nullptr;
  switch (static_cast<gradc_space>(ref.space)) {
  case GRADC_SPACE_ARENA: base = workspace_.arena(); break;
  case GRADC_SPACE_VAR: base = vars_[ref.index]; break;
  case GRADC_SPACE_ARGUMENT: base = args_[ref.index]; break;
  case GRADC_SPACE_RESULT: base = results_[ref.index]; break;
  case GRADC_SPACE_CONSTANT: base = const_cast<void *>(program_.constants); break;
  }
  CHECK(base, "program '{}': buffer {} of space {} is not bound", program_.name, ref.index, ref.space);
  return static_cast<std::byte *>(base) + ref.offset;
}

void Executor::resolveAll() {
  for (size_t i = 0; i < pointers_.size(); ++i)
    pointers_[i] = resolve(program_.refs[i]);
  for (int worker = 0; worker < pool_.threads(); ++worker)
    contexts_[worker] = workspace_.context(worker);
  resolved_ = true;
  workspaceGeneration_ = workspace_.generation();
}

void Executor::setProfiling(bool on) { profile_.assign(on ? program_.num_steps : 0, {}); }

void StepProfile::add(double time) {
  fastest = runs == 0 ? time : std::min(fastest, time);
  seconds += time;
  ++runs;
}

std::vector<StepTime> stepTimes(const gradc_program &program, const std::vector<StepProfile> &profile) {
  std::vector<StepTime> times;
  for (size_t i = 0; i < profile.size(); ++i) {
    const gradc_step &step = program.steps[i];
    const StepProfile &p = profile[i];
    times.push_back({.name = step.name,
                     .runs = p.runs,
                     .milliseconds = p.runs > 0 ? p.seconds / static_cast<double>(p.runs) * 1e3 : 0,
                     .fastest = p.fastest * 1e3,
                     .flops = step.flops,
                     .bytes = step.bytes});
  }
  return times;
}

void Executor::runStep(const gradc_step &step) {
  void *const *buffers = pointers_.data() + step.first_ref;
  pool_.parallelFor(step.items, step.work, [&](int64_t begin, int64_t end, int worker) {
    step.kernel(&contexts_[worker], buffers, begin, end);
  });
}

void Executor::run() {
  if (!resolved_ || workspaceGeneration_ != workspace_.generation())
    resolveAll();
  if (profile_.empty()) {
    for (int64_t i = 0; i < program_.num_steps; ++i)
      runStep(program_.steps[i]);
    return;
  }
  for (int64_t i = 0; i < program_.num_steps; ++i) {
    const Clock::time_point start = Clock::now();
    runStep(program_.steps[i]);
    profile_[i].add(secondsSince(start));
  }
}

} // namespace gradc
