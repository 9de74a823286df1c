// The flags that every command which compiles has: printing, bisecting, timing and remarks of passes.
#pragma once

#include <string>
#include <vector>

#include "driver/code_target.h"
#include "driver/command_line.h"
#include "passes/pass.h"
#include "passes/pipeline.h"
#include "support/diagnostics.h"
#include "support/result.h"

namespace gradc {

struct CompileFlags {
  PassManagerOptions passes;
  Precision precision = Precision::F32;
  CublasUse cublas = CublasUse::Auto;
  /// Training steps may want variables in n16 (ir/layout.h).
  bool pack = true;
};

/// `flags` must outlive the parse.
Options compileOptions(CompileFlags &flags);

/// What code is made of and for: --func, --device and --mcpu. Architectures of devices are the command's own.
struct CodeFlags {
  std::string function, device = "cpu", mcpu = "native";
};
Options codeOptions(CodeFlags &flags);

/// --precision alone.
Options precisionOption(Precision &precision);

/// What --timing and --statistics ask for, on stderr.
void printReports(const CompileFlags &flags, const PassManager &manager);

/// Prints the diagnostics to stderr, in colour on a terminal; InvalidInput if there are errors.
ExitCode finish(const Diagnostics &diag);

/// "gradc: error: <text>" on stderr; returns the status's code.
ExitCode fail(const Status &status);

} // namespace gradc
