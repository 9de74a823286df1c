// Loops that do nothing but reach one limit of the processor, made by LLVM as kernels are: shares of a peak refer to
// what they reach in the same run.
#pragma once

#include <memory>

#include "codegen/cpu/jit.h"

namespace gradc {

struct PeakKernels {
  static StatusOr<PeakKernels> make(const CpuTarget &target);

  static constexpr int64_t kBlockBytes = 256; // of each array, an item of read, copy and update

  std::unique_ptr<Jit> jit;
  double operations = 0;       // of an item of `multiplyAdds`
  gradc_kernel multiplyAdds{}; // independent chains in registers. Buffers: 64 bytes
  gradc_kernel read{};         // Buffers: 64 bytes for the sum, an array
  gradc_kernel copy{};         // Buffers: result, array
  gradc_kernel update{};       // two arrays read and written, as parameters and momentum are
};

} // namespace gradc
