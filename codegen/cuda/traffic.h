// What a launch must move between the device's memory and its multiprocessors: the lower bound that estimates start from
// (codegen/cuda/estimate.h) and that tests compare with what the simulated device counts.
//
// Each value that a launch reads counts once, however many of its kernels and blocks read it, and so does each that it
// writes, and what kernels leave in the workspace for their next step. An L2 that holds what a launch touches moves no
// more: what blocks read again, as tiles of a product their factors, comes from there. Of a value of which a kernel reads
// a part, all counts.
#pragma once

#include <set>

#include "codegen/cuda/kernel.h"
#include "ir/ir.h"

namespace gradc {

class CudaTraffic {
public:
  explicit CudaTraffic(const Function &fn) : fn_(fn) {}

  /// The launch reads or writes a buffer of the kernel: an operand, a result, or what its code has beside them.
  void touch(OpId kernel, int buffer, const CudaKernelCode &code);
  double bytes() const { return bytes_; }

private:
  const Function &fn_;
  std::set<ValueId> read_;
  double bytes_ = 0;
};

} // namespace gradc
