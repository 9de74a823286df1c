// The backend "cpu" of gradc run: plans the function, compiles it, and runs it on the thread pool.
#include "driver/backend.h"
#include "driver/compiled_function.h"
#include "support/clock.h"

namespace gradc {

StatusOr<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag) {
  const Clock::time_point start = Clock::now();
  auto compiled =
      CompiledFunction::make(request.module, request.fn.name, request.threads, request.precision, diag);
  if (!compiled)
    return std::unexpected(compiled.error());
  if (request.times)
    request.times->compileMs = secondsSince(start) * 1e3;
  return (*compiled)->run(request.arguments, request.times);
}

} // namespace gradc
