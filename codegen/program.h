// From a planned function to a program that the runtime executes: machine code for each kernel, and the table of
// steps (runtime/abi.h) that says which runs when on which memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "codegen/cpu/compiler.h"
#include "codegen/object_cache.h"
#include "ir/ir.h"
#include "runtime/abi.h"

namespace gradc {

struct CompileOptions {
  CpuTarget target;
  int threads = 1;                    // compile workers
  const ObjectCache *cache = nullptr; // null: --no-cache
  bool link = true; // into this process; else the table has no addresses, and objects() the code
  bool debug =
      false; // debug information: kernels of equal code at several places are several, none is cached
};

/// Owns the table, its strings and constants, and the code.
class CompiledProgram {
public:
  virtual ~CompiledProgram() = default;
  virtual const gradc_program &program() const = 0;
  /// The symbol of the code behind step i, as `--emit asm` shows it.
  virtual const std::string &symbol(int64_t step) const = 0;

  struct Object {
    const std::string &symbol; // of the kernel; those of its steps begin with it
    const std::string &bytes;  // a relocatable object file
    std::string names;         // of the steps that it serves, one a line
  };
  /// The distinct kernels of a program that was not linked.
  virtual std::vector<Object> objects() const = 0;
};

/// Compiles a function that plan-memory has placed (ir/plan.h). Several functions of a module may be compiled from several threads.
StatusOr<std::unique_ptr<CompiledProgram>> compileProgram(const Module &module, const Function &fn,
                                                          const CompileOptions &options);

/// The model's names of a step as a symbol: "train_step.b64.conv1+conv1.bias+relu.sapphirerapids".
std::string stepAlias(std::string_view function, int64_t batch, std::string_view step,
                      const CpuTarget &target);

/// The code of every distinct kernel of a function, in order, each under a comment with the names of its steps. Of a
/// planned function the table of steps follows, and their names as aliases.
StatusOr<std::string> emitText(const Module &module, const Function &fn, const CpuTarget &target,
                               CodeText form, bool debug = false);

} // namespace gradc
