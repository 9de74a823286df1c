#include "driver/compiled_function.h"

#include "driver/backend.h"
#include "driver/compile_flags.h"
#include "driver/plan_function.h"
#include "driver/run_memory.h"

namespace gradc {

StatusOr<std::unique_ptr<CompiledFunction>> CompiledFunction::make(const Module &module,
                                                                   std::string_view function, int threads,
                                                                   Precision precision, Diagnostics &diag) {
  const CpuTarget target = hostCpuTarget();
  if (Status can = checkPrecision(precision, target); !can.ok())
    return std::unexpected(can);
  Module planned = module.clone();
  PassManager manager({});
  if (auto done = planFunction(planned, function, false, "", target, manager, diag, {.precision = precision});
      !done)
    return reported();
  std::unique_ptr<CompiledFunction> compiled(new CompiledFunction(std::move(planned), function, threads));
  if (Status done = compiled->compile(target); !done.ok())
    return std::unexpected(done);
  return compiled;
}

Status CompiledFunction::compile(const CpuTarget &target) {
  const ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  const CompileOptions options{target, pool_.threads(), cache.enabled() ? &cache : nullptr};
  StatusOr<std::unique_ptr<CompiledProgram>> program = compileProgram(module_, fn_, options);
  if (!program)
    return program.error();
  program_ = std::move(*program);
  if (Status reserved = workspace_.reserve(program_->program(), pool_); !reserved.ok())
    return reserved;
  executor_.emplace(program_->program(), pool_, workspace_);
  return okStatus();
}

StatusOr<std::vector<Tensor>> CompiledFunction::run(std::span<const Tensor> arguments, RunTimes *times) {
  RunMemory memory(fn_, program_->program());
  if (Status filled = memory.fill(arguments); !filled.ok())
    return std::unexpected(filled);
  for (size_t i = 0; i < memory.vars().size(); ++i)
    executor_->bindVar(static_cast<int64_t>(i), memory.vars()[i]->data());
  for (size_t i = 0; i < memory.args().size(); ++i)
    executor_->bindArg(static_cast<int64_t>(i), memory.args()[i]->data());
  for (size_t i = 0; i < memory.results().size(); ++i)
    executor_->bindResult(static_cast<int64_t>(i), memory.results()[i]->data());
  executor_->run();
  std::vector<Tensor> results = memory.tensors();
  if (times) {
    auto again = [&] {
      executor_->run();
      return okStatus();
    };
    if (Status timed = times->sample(kTimedSeconds, 1, again); !timed.ok())
      return std::unexpected(timed);
  }
  return results;
}

} // namespace gradc
