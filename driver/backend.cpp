#include "driver/backend.h"

#include "ir/interpreter.h"

namespace gradc {
namespace {

Result<std::vector<Tensor>> runInterpreter(const RunRequest &request, Diagnostics &diag) {
  if (request.inMemory)
    return interpretInMemory(request.module, request.fn, request.arguments, diag);
  return interpret(request.module, request.fn, request.arguments);
}

} // namespace

Result<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag); // backend_cpu.cpp

namespace {

constexpr Backend kBackends[] = {
    {"interp", "the reference interpreter", runInterpreter},
    {"cpu", "compiled for this processor", runCpu},
};

} // namespace

std::span<const Backend> allBackends() { return kBackends; }

const Backend *findBackend(std::string_view name) {
  for (const Backend &backend : kBackends)
    if (backend.name == name)
      return &backend;
  return nullptr;
}

} // namespace gradc
