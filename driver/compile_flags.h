// The flags that every command which compiles has: printing, bisecting, timing and remarks of passes.
#pragma once

#include <string>
#include <vector>

#include "codegen/cpu/target.h"
#include "passes/pass.h"
#include "passes/pipeline.h"
#include "support/diagnostics.h"
#include "support/result.h"

namespace CLI {
class App;
}

namespace gradc {

struct CompileFlags {
  PassManagerOptions passes;
  Precision precision = Precision::F32;
};

/// Declares the flags on a command. `flags` must outlive the parse.
void addCompileFlags(CLI::App &command, CompileFlags &flags);

/// Declares --precision on a command.
void addPrecisionFlag(CLI::App &command, Precision &precision);
/// Whether code for the target can keep to it: exit code 6 with what is missing.
Status checkPrecision(Precision precision, const CpuTarget &target);

/// What --timing and --statistics ask for, on stderr.
void printReports(const CompileFlags &flags, const PassManager &manager);

/// Prints the diagnostics to stderr, in colour on a terminal; InvalidInput if there are errors.
ExitCode finish(const Diagnostics &diag);

/// "gradc: error: <text>" on stderr; returns the status's code.
ExitCode fail(const Status &status);

} // namespace gradc
