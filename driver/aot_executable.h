// Links a stand-alone executable: tables, kernels and the runtime.
#pragma once

#include <string>
#include <vector>

#include "driver/aot_programs.h"
#include "runtime/model_image.h"
#include "support/result.h"

namespace gradc {

struct ExecutableParts {
  ModelImage image;
  std::vector<CompiledVersion> versions; // those for CUDA first, ascending; then the best processor first
  std::string weights;                   // to embed; empty: none
  bool isStatic = false;                 // link nothing dynamically
  bool debug = false;                    // keep symbols and debug information

  bool hasCuda() const { return versions.front().cuda() != nullptr; }
};

/// The bytes of the executable.
StatusOr<std::string> linkExecutable(const ExecutableParts &parts);

} // namespace gradc
