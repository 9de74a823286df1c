// The backend "cpu" of gradc run: plans the function, compiles it, and runs it on the thread pool.
#include "driver/backend.h"
#include "driver/compiled_function.h"

namespace gradc {

StatusOr<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag) {
  auto compiled =
      CompiledFunction::make(request.module, request.fn.name, request.threads, request.precision, diag);
  return compiled ? (*compiled)->run(request.arguments) : std::unexpected(compiled.error());
}

} // namespace gradc
