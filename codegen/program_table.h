// What the tables of all programs have in common (runtime/abi.h), whatever runs them: ports, references, strings.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ir/ir.h"
#include "ir/plan.h"
#include "runtime/abi.h"

namespace gradc {

/// The table of a planned function, with everything that it points to.
class ProgramTable {
public:
  /// Makes the ports: arguments {var = @x} become ports among `vars`, in the order of the arguments; the others among
  /// `args`; results that are not a variable's among `results`, numbered as in the function.
  ProgramTable(const Module &module, const Function &fn);
  ProgramTable(const ProgramTable &) = delete;
  ProgramTable &operator=(const ProgramTable &) = delete;

  /// Keeps a string as long as the table lives.
  const char *keep(std::string text) { return strings_.emplace_back(std::move(text)).c_str(); }

  /// Where a kernel's buffers lie: operands, results and, where the offset into the arena is not negative, workspace.
  std::vector<gradc_ref> buffersOf(OpId kernel, int64_t workspaceOffset) const;

  struct Refs {
    int32_t first = 0, count = 0;
  };
  Refs addRefs(const std::vector<gradc_ref> &refs);
  void addStep(const gradc_step &step) { steps_.push_back(step); }

  /// No more is added after this.
  void finish(int64_t arenaBytes, int64_t scratchBytes);
  const gradc_program &program() const { return program_; }

private:
  gradc_port port(const std::string &name, const Type &type);
  void addVar(const std::string &name, const Type &type);
  int32_t varIndex(const std::string &name) const;
  gradc_ref ref(const Place &place) const;

  const Function &fn_; // until finish()
  std::vector<std::optional<Place>> places_;
  std::deque<std::string> strings_;
  std::vector<std::string> varNames_;
  std::vector<int32_t> argIndex_, resultIndex_; // from the function's numbers to ports
  std::vector<gradc_step> steps_;
  std::vector<gradc_ref> refs_;
  std::vector<gradc_port> vars_, args_, results_;
  gradc_program program_{};
};

/// Whether code is made of this op of a planned function: a kernel, but for a view.
bool takesStep(const Function &fn, OpId op);

/// "conv1+conv1.bias+relu": the model's names of what a kernel computes.
std::string stepName(const Function &fn, OpId kernel);

} // namespace gradc
