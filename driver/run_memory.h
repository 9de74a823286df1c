// The arguments and results of one function in the host's memory, port by port of its program: what gradc run's
// compiled backends have in common.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/ir.h"
#include "ir/plan.h"
#include "runtime/abi.h"
#include "runtime/buffer.h"

namespace gradc {

class RunMemory {
public:
  /// Both must outlive this. Fills in the arguments.
  RunMemory(const Function &fn, const gradc_program &program) : fn_(fn), program_(program) {}
  Status fill(std::span<const Tensor> arguments);

  /// Parallel to the program's ports.
  const std::vector<Buffer *> &vars() const { return vars_; }
  const std::vector<Buffer *> &args() const { return args_; }
  const std::vector<Buffer *> &results() const { return results_; }

  /// What the function returns, once the program has run.
  std::vector<Tensor> tensors() const;

private:
  StatusOr<Buffer *> at(const Place &place, int64_t size);

  const Function &fn_;
  const gradc_program &program_;
  std::map<std::string, Buffer> memory_; // by place
  std::vector<Buffer *> vars_, args_, results_;
};

} // namespace gradc
