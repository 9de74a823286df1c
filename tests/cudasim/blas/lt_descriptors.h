// The descriptors of cuBLASLt: what the setters filled in.
#pragma once

#include "blas/checks.h"

struct cublasLtMatrixLayoutOpaque_t {
  uint32_t type = CUDA_R_32F;
  int32_t order = CUBLASLT_ORDER_COL;
  uint64_t rows = 0, columns = 0;
  int64_t leading = 0;
  int32_t batch = 1;
  int64_t batchStride = 0;
};

struct cublasLtMatmulDescOpaque_t {
  int32_t compute = CUBLAS_COMPUTE_32F, scale = CUDA_R_32F, pointers = CUBLASLT_POINTER_MODE_HOST;
  int32_t operationA = CUBLAS_OP_N, operationB = CUBLAS_OP_N, operationC = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void *bias = nullptr, *aux = nullptr;
  int64_t biasStride = 0, auxLeading = 0, auxStride = 0;
  int32_t biasType = -1, auxType = -1; // -1: as D
};

struct cublasLtMatmulPreferenceOpaque_t {
  uint32_t searchMode = 0, reductions = 0xffffffff;
  uint64_t workspaceBytes = 0;
  uint32_t alignmentA = 256, alignmentB = 256, alignmentC = 256, alignmentD = 256;
};
