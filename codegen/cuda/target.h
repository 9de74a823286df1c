// The CUDA architecture that code is made for, as a value: nothing in code generation asks a device.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "support/result.h"

namespace gradc {

/// Which products of matrices are cuBLAS's, of those that it has: those for which it should be faster, all, none.
enum class CublasUse { Auto, Always, Never };

/// Limits as the CUDA programming guide's table of compute capabilities lists them; speeds as the data sheet of the
/// named card publishes them (dense, boost clock): estimates start from these.
struct CudaTarget {
  int architecture = 0; // 90: sm_90
  std::string_view card;
  int multiprocessors = 0;
  int warpsPerMultiprocessor = 0, blocksPerMultiprocessor = 0;
  int64_t registersPerMultiprocessor = 65536;
  int64_t sharedPerMultiprocessor = 0, sharedPerBlock = 0; // bytes; a block's largest, opted in
  int64_t l2Bytes = 0;
  double f32Flops = 0, tf32Flops = 0, halfFlops = 0; // per second; half: bf16 and f16. 0: no such tensor core
  double memoryBytes = 0;                            // per second
  CublasUse cublas = CublasUse::Auto;

  bool hasAsyncCopies() const { return architecture >= 80; }
  std::string name() const { return "sm_" + std::to_string(architecture); }
};

/// Ascending by architecture.
std::span<const CudaTarget> cudaTargets();
/// "sm_90"; the error lists what is known.
StatusOr<CudaTarget> parseCudaTarget(std::string_view name);

} // namespace gradc
