// gradc compile to files for machines: executables, objects.
#pragma once

#include <string>
#include <vector>

#include "driver/compile_flags.h"
#include "driver/load_model.h"
#include "support/result.h"

namespace gradc {

struct ArtifactFlags {
  std::string emit;  // exe, obj, shared, header
  std::string entry; // train, eval, infer
  std::string data, weights, triple;
  std::vector<int64_t> batches;
  std::vector<std::string> processors; // one, or several for one file
  std::vector<CudaTarget> cuda;        // of executables: devices, ascending; empty: processors only
  bool embedWeights = false, isStatic = false, multiVersioned = false, report = false, noCache = false;
  bool debug = false; // -g; of --emit llvm and asm, too
};

/// The options that only artefacts have. `flags` must outlive the parse.
Options artifactOptions(ArtifactFlags &flags);

/// Compiles the model and writes `output`.
ExitCode compileArtifact(const ModelFlags &model, const CompileFlags &compile, const ArtifactFlags &flags,
                         const std::string &output);

} // namespace gradc
