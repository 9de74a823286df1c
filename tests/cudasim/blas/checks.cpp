#include "blas/checks.h"

namespace cudasim {

bool typesSupported(cublasComputeType_t compute, cudaDataType a, cudaDataType b, cudaDataType c) {
  if (a != b || bytesOf(a) == 0 || bytesOf(c) == 0)
    return false;
  switch (compute) {
  case CUBLAS_COMPUTE_32F:
  case CUBLAS_COMPUTE_32F_PEDANTIC: return c == a || c == CUDA_R_32F;
  case CUBLAS_COMPUTE_32F_FAST_16F:
  case CUBLAS_COMPUTE_32F_FAST_16BF:
  case CUBLAS_COMPUTE_32F_FAST_TF32: return a == CUDA_R_32F && c == CUDA_R_32F;
  default: return false;
  }
}

Rounding roundingOf(cublasComputeType_t compute, cudaDataType operand, bool tensorMath, bool deviceHasTf32) {
  if (compute == CUBLAS_COMPUTE_32F_FAST_16F)
    return Rounding::F16;
  if (compute == CUBLAS_COMPUTE_32F_FAST_16BF)
    return deviceHasTf32 ? Rounding::Bf16 : Rounding::None;
  bool tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32 || (compute == CUBLAS_COMPUTE_32F && tensorMath);
  return tf32 && deviceHasTf32 && operand == CUDA_R_32F ? Rounding::Tf32 : Rounding::None;
}

} // namespace cudasim
