// The functions and values of cuBLAS and cuBLASLt that the runtime uses, as their documentation gives them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/cuda/driver.h"

namespace gradc::cuda {

using BlasHandle = struct cublasContext *;
using LtHandle = struct cublasLtContext *;
using LtMatmulDesc = struct cublasLtMatmulDescOpaque *;
using LtLayout = struct cublasLtMatrixLayoutOpaque *;
using LtPreference = struct cublasLtMatmulPreferenceOpaque *;

struct LtAlgorithm {
  uint64_t data[8];
};
struct LtHeuristicResult {
  LtAlgorithm algorithm;
  size_t workspaceBytes;
  int state;
  float waves;
  int reserved[4];
};

// cudaDataType, cublasOperation_t, cublasComputeType_t, cublasGemmAlgo_t
inline constexpr int kR32F = 0, kR16F = 2, kR16BF = 14;
inline constexpr int kOpN = 0, kOpT = 1;
inline constexpr int kCompute32F = 68, kCompute32FPedantic = 69, kCompute32FF16 = 74, kCompute32FBf16 = 75,
                     kCompute32FTf32 = 77;
inline constexpr int kGemmDefault = -1;
// cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasLtMatmulPreferenceAttributes_t
inline constexpr int kDescTransA = 3, kDescTransB = 4, kDescEpilogue = 7, kDescBiasPointer = 8,
                     kDescBiasType = 26;
inline constexpr int kLayoutBatchCount = 5, kLayoutBatchStride = 6;
inline constexpr int kPreferenceWorkspaceBytes = 1;
// cublasLtEpilogue_t
inline constexpr int kEpilogueDefault = 1, kEpilogueRelu = 2, kEpilogueBias = 4, kEpilogueGelu = 32;

// clang-format off
#define GRADC_CUBLAS(F)                                                                                              \
  F(create, "cublasCreate_v2", (BlasHandle *))                                                                       \
  F(destroy, "cublasDestroy_v2", (BlasHandle))                                                                       \
  F(setStream, "cublasSetStream_v2", (BlasHandle, StreamHandle))                                                     \
  F(setWorkspace, "cublasSetWorkspace_v2", (BlasHandle, void *, size_t))                                             \
  F(gemmStridedBatched, "cublasGemmStridedBatchedEx",                                                                \
    (BlasHandle, int, int, int, int, int, const void *, const void *, int, int, long long, const void *, int, int,   \
     long long, const void *, void *, int, int, long long, int, int, int))
#define GRADC_CUBLASLT(F)                                                                                            \
  F(create, "cublasLtCreate", (LtHandle *))                                                                          \
  F(destroy, "cublasLtDestroy", (LtHandle))                                                                          \
  F(descCreate, "cublasLtMatmulDescCreate", (LtMatmulDesc *, int, int))                                              \
  F(descDestroy, "cublasLtMatmulDescDestroy", (LtMatmulDesc))                                                        \
  F(descSet, "cublasLtMatmulDescSetAttribute", (LtMatmulDesc, int, const void *, size_t))                            \
  F(layoutCreate, "cublasLtMatrixLayoutCreate", (LtLayout *, int, uint64_t, uint64_t, int64_t))                      \
  F(layoutDestroy, "cublasLtMatrixLayoutDestroy", (LtLayout))                                                        \
  F(layoutSet, "cublasLtMatrixLayoutSetAttribute", (LtLayout, int, const void *, size_t))                            \
  F(preferenceCreate, "cublasLtMatmulPreferenceCreate", (LtPreference *))                                            \
  F(preferenceDestroy, "cublasLtMatmulPreferenceDestroy", (LtPreference))                                            \
  F(preferenceSet, "cublasLtMatmulPreferenceSetAttribute", (LtPreference, int, const void *, size_t))                \
  F(heuristic, "cublasLtMatmulAlgoGetHeuristic",                                                                     \
    (LtHandle, LtMatmulDesc, LtLayout, LtLayout, LtLayout, LtLayout, LtPreference, int, LtHeuristicResult *, int *)) \
  F(matmul, "cublasLtMatmul",                                                                                        \
    (LtHandle, LtMatmulDesc, const void *, const void *, LtLayout, const void *, LtLayout, const void *,             \
     const void *, LtLayout, void *, LtLayout, const LtAlgorithm *, void *, size_t, StreamHandle))
// clang-format on

#define GRADC_DECLARE(member, name, parameters) int(*member) parameters = nullptr;
struct BlasFunctions {
  GRADC_CUBLAS(GRADC_DECLARE)
};
struct LtFunctions {
  GRADC_CUBLASLT(GRADC_DECLARE)
};
#undef GRADC_DECLARE

} // namespace gradc::cuda
