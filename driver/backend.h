// What can run a function of a module. A backend is one file driver/backend_<name>.cpp and a row in backend.cpp.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "driver/run_times.h"
#include "ir/ir.h"
#include "passes/pipeline.h"
#include "support/diagnostics.h"
#include "support/result.h"

namespace gradc {

struct RunRequest {
  const Module &module;
  const Function &fn;
  std::span<const Tensor> arguments;
  int threads = 1;
  bool inMemory = false;                // interp: at the planned addresses
  Precision precision = Precision::F32; // of compiled code
  RunTimes *times = nullptr; // where they are asked for: the function runs on, then, for kTimedSeconds
};

/// What a backend returns once the engine has the message.
inline std::unexpected<Status> reported() { return failure(ExitCode::InvalidInput, ""); }

struct Backend {
  std::string_view name;
  std::string_view doc;
  /// The results of the function, row-major; a function that was not yet compiled down to kernels is compiled first
  /// where the backend needs it. What is wrong with the function is reported to the engine, and the status says no more
  /// than that.
  StatusOr<std::vector<Tensor>> (*run)(const RunRequest &request, Diagnostics &diag);
};

std::span<const Backend> allBackends();
const Backend *findBackend(std::string_view name);

} // namespace gradc
