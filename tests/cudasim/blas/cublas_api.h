// The functions that the stand-ins of cuBLAS and cuBLASLt export.
#pragma once

#include "blas/cublas_abi.h"

#define CUDASIM_BLAS extern "C" __attribute__((visibility("default")))

// cuBLAS
CUDASIM_BLAS cublasStatus_t cublasCreate_v2(cublasHandle_t *handle);
CUDASIM_BLAS cublasStatus_t cublasDestroy_v2(cublasHandle_t handle);
CUDASIM_BLAS cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version);
CUDASIM_BLAS cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream);
CUDASIM_BLAS cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream);
CUDASIM_BLAS cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes);
CUDASIM_BLAS cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode);
CUDASIM_BLAS cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode);
CUDASIM_BLAS cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode);
CUDASIM_BLAS cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t operationA,
                                           cublasOperation_t operationB, int m, int n, int k,
                                           const float *alpha, const float *a, int leadingA, const float *b,
                                           int leadingB, const float *beta, float *c, int leadingC);
CUDASIM_BLAS cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t operationA,
                                         cublasOperation_t operationB, int m, int n, int k, const void *alpha,
                                         const void *a, cudaDataType typeA, int leadingA, const void *b,
                                         cudaDataType typeB, int leadingB, const void *beta, void *c,
                                         cudaDataType typeC, int leadingC, cublasComputeType_t compute,
                                         cublasGemmAlgo_t);
CUDASIM_BLAS cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t operationA, cublasOperation_t operationB, int m, int n, int k,
    const void *alpha, const void *a, cudaDataType typeA, int leadingA, long long strideA, const void *b,
    cudaDataType typeB, int leadingB, long long strideB, const void *beta, void *c, cudaDataType typeC,
    int leadingC, long long strideC, int batch, cublasComputeType_t compute, cublasGemmAlgo_t);
CUDASIM_BLAS const char *cublasGetStatusName(cublasStatus_t status);
CUDASIM_BLAS const char *cublasGetStatusString(cublasStatus_t status);

// cuBLASLt
CUDASIM_BLAS size_t cublasLtGetVersion();
CUDASIM_BLAS cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle);
CUDASIM_BLAS cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t *results, int *returned);
CUDASIM_BLAS cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                                           const void *alpha, const void *a, cublasLtMatrixLayout_t layoutA,
                                           const void *b, cublasLtMatrixLayout_t layoutB, const void *beta,
                                           const void *c, cublasLtMatrixLayout_t layoutC, void *d,
                                           cublasLtMatrixLayout_t layoutD, const cublasLtMatmulAlgo_t *algo,
                                           void *workspace, size_t workspaceBytes, cudaStream_t stream);

// cuBLASLt: descriptors
CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                                       uint64_t rows, uint64_t columns, int64_t leading);
CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout);
CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                             cublasLtMatrixLayoutAttribute_t attribute,
                                                             const void *value, size_t bytes);
CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                             cublasLtMatrixLayoutAttribute_t attribute,
                                                             void *value, size_t bytes, size_t *written);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmul,
                                                     cublasComputeType_t compute, cudaDataType scale);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           const void *value, size_t bytes);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t matmul,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           void *value, size_t bytes, size_t *written);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference);
CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
    size_t bytes);
