// The backend "cpu" of gradc run: plans the function, compiles it, and runs it on the thread pool.
#include "codegen/program.h"
#include "driver/backend.h"
#include "driver/compile_flags.h"
#include "driver/plan_function.h"
#include "driver/run_memory.h"
#include "runtime/executor.h"

namespace gradc {
namespace {

StatusOr<std::vector<Tensor>> compileAndRun(const Module &module, const Function &fn,
                                            const RunRequest &request, const CpuTarget &target) {
  ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  CompileOptions options{target, request.threads, cache.enabled() ? &cache : nullptr};
  StatusOr<std::unique_ptr<CompiledProgram>> program = compileProgram(module, fn, options);
  if (!program)
    return std::unexpected(program.error());
  ThreadPool pool(request.threads);
  Workspace workspace;
  if (Status reserved = workspace.reserve((*program)->program(), pool); !reserved.ok())
    return std::unexpected(reserved);
  Executor executor((*program)->program(), pool, workspace);
  RunMemory memory(fn, (*program)->program());
  if (Status filled = memory.fill(request.arguments); !filled.ok())
    return std::unexpected(filled);
  for (size_t i = 0; i < memory.vars().size(); ++i)
    executor.bindVar(static_cast<int64_t>(i), memory.vars()[i]->data());
  for (size_t i = 0; i < memory.args().size(); ++i)
    executor.bindArg(static_cast<int64_t>(i), memory.args()[i]->data());
  for (size_t i = 0; i < memory.results().size(); ++i)
    executor.bindResult(static_cast<int64_t>(i), memory.results()[i]->data());
  executor.run();
  return memory.tensors();
}

} // namespace

StatusOr<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag) {
  CpuTarget target = hostCpuTarget();
  if (Status can = checkPrecision(request.precision, target); !can.ok())
    return std::unexpected(can);
  Module module = request.module.clone();
  PassManager manager({});
  if (auto planned =
          planFunction(module, request.fn.name, false, "", target, manager, diag, request.precision);
      !planned)
    return reported();
  return compileAndRun(module, *module.function(request.fn.name), request, target);
}

} // namespace gradc
