#include "driver/backend.h"

#include "ir/interpreter.h"

namespace gradc {
namespace {

StatusOr<std::vector<Tensor>> runInterpreter(const RunRequest &request, Diagnostics &diag) {
  auto once = [&]() -> StatusOr<std::vector<Tensor>> {
    if (!request.inMemory)
      return interpret(request.module, request.fn, request.arguments);
    Result<std::vector<Tensor>> results =
        interpretInMemory(request.module, request.fn, request.arguments, diag);
    return results ? StatusOr<std::vector<Tensor>>(*std::move(results)) : reported();
  };
  StatusOr<std::vector<Tensor>> results = once();
  if (results && request.times) {
    auto again = [&] {
      StatusOr<std::vector<Tensor>> same = once();
      return same ? okStatus() : same.error();
    };
    if (Status timed = request.times->sample(kTimedSeconds, 1, again); !timed.ok())
      return std::unexpected(timed);
  }
  return results;
}

} // namespace

StatusOr<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag);  // backend_cpu.cpp
StatusOr<std::vector<Tensor>> runCuda(const RunRequest &request, Diagnostics &diag); // backend_cuda.cpp

namespace {

constexpr Backend kBackends[] = {
    {"interp", "the reference interpreter", runInterpreter},
    {"cpu", "compiled for this processor", runCpu},
    {"cuda", "compiled for the first CUDA device", runCuda},
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
