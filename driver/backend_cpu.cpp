// The backend "cpu" of gradc run: plans the function, compiles it, and runs it on the thread pool.
#include "driver/backend.h"
#include "driver/compiled_function.h"

namespace gradc {

Result<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag) {
  auto compiled =
      CompiledFunction::make(request.module, request.fn.name, request.threads, request.precision, diag);
  if (!compiled)
    return std::unexpected(compiled.error());
  StatusOr<std::vector<Tensor>> results = (*compiled)->run(request.arguments);
  if (!results)
    return std::unexpected(diag.error({}, "{}", results.error().text));
  return *std::move(results);
}

} // namespace gradc
