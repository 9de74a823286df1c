// libcublas.so.13 for tests: products of matrices, column-major, with the documented checks.
#include <algorithm>

#include <fmt/format.h>

#include "blas/checks.h"

using namespace cudasim;

struct cublasContext {
  CUstream stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  cublasPointerMode_t pointers = CUBLAS_POINTER_MODE_HOST;
  void *workspace = nullptr; // the user's; null: the library's own, which no one can overlap
  size_t workspaceBytes = 0;
};

namespace {

bool alive(cublasHandle_t handle) { return Live<cublasContext>::get().has(handle); }

/// One call of a product function; strides are 0 where there is no batch.
struct Call {
  const char *name;
  int32_t operationA, operationB;
  int64_t m, n, k;
  const void *alpha, *a;
  cudaDataType typeA;
  int64_t leadingA, strideA;
  const void *b;
  cudaDataType typeB;
  int64_t leadingB, strideB;
  const void *beta;
  void *c;
  cudaDataType typeC;
  int64_t leadingC, strideC, batch;
  cublasComputeType_t compute;
};

cublasStatus_t refuse(const Call &call, cublasStatus_t status, std::string_view why) {
  logRefusal(*DriverLink::get(), call.name, why);
  return status;
}

cublasStatus_t check(const Call &call) {
  auto invalid = [&](std::string_view why) { return refuse(call, CUBLAS_STATUS_INVALID_VALUE, why); };
  if (!isOperation(call.operationA) || !isOperation(call.operationB))
    return invalid("no such operation");
  if (call.m < 0 || call.n < 0 || call.k < 0 || call.batch < 0)
    return invalid(fmt::format("m = {}, n = {}, k = {}, batch = {}", call.m, call.n, call.k, call.batch));
  struct Stored {
    char name;
    int64_t rows, leading;
  };
  for (auto [name, rows, leading] :
       {Stored{'A', call.operationA ? call.k : call.m, call.leadingA},
        Stored{'B', call.operationB ? call.n : call.k, call.leadingB}, Stored{'C', call.m, call.leadingC}})
    if (leading < std::max<int64_t>(1, rows))
      return invalid(fmt::format("{} has {} rows, its leading dimension is {}", name, rows, leading));
  if (!call.alpha || !call.beta)
    return invalid("alpha or beta is null");
  if (!typesSupported(call.compute, call.typeA, call.typeB, call.typeC))
    return refuse(call, CUBLAS_STATUS_NOT_SUPPORTED,
                  fmt::format("compute type {} of types {} and {} into {}", int(call.compute),
                              int(call.typeA), int(call.typeB), int(call.typeC)));
  return CUBLAS_STATUS_SUCCESS;
}

Scale scaleOf(const cublasContext &handle, const void *pointer) {
  const auto *scale = static_cast<const float *>(pointer);
  return handle.pointers == CUBLAS_POINTER_MODE_DEVICE ? Scale{0, scale} : Scale{*scale, nullptr};
}

Product productOf(const cublasContext &handle, const Call &call) {
  Product p;
  p.call = call.name;
  p.m = call.m;
  p.n = call.n;
  p.k = call.k;
  p.batch = call.batch;
  p.transposeA = call.operationA != CUBLAS_OP_N;
  p.transposeB = call.operationB != CUBLAS_OP_N;
  p.a = {const_cast<void *>(call.a), call.typeA,    false,       p.transposeA ? p.k : p.m,
         p.transposeA ? p.m : p.k,   call.leadingA, call.strideA};
  p.b = {const_cast<void *>(call.b), call.typeB,    false,       p.transposeB ? p.n : p.k,
         p.transposeB ? p.k : p.n,   call.leadingB, call.strideB};
  p.c = p.d = {call.c, call.typeC, false, p.m, p.n, call.leadingC, call.strideC};
  p.alpha = scaleOf(handle, call.alpha);
  p.beta = scaleOf(handle, call.beta);
  bool tensorMath = (handle.math & 15) == CUBLAS_TF32_TENSOR_OP_MATH;
  p.rounding = roundingOf(call.compute, call.typeA, tensorMath, deviceHasTf32(*DriverLink::get()));
  p.workspace = handle.workspace;
  p.workspaceBytes = std::min(handle.workspaceBytes, kWorkspaceUsed);
  return p;
}

cublasStatus_t multiply(cublasHandle_t handle, const Call &call) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (cublasStatus_t bad = check(call); bad != CUBLAS_STATUS_SUCCESS)
    return bad;
  if (call.m == 0 || call.n == 0 || call.batch == 0)
    return CUBLAS_STATUS_SUCCESS;
  const DriverLink &driver = *DriverLink::get();
  Product product = productOf(*handle, call);
  bool queued = queueWork(driver, handle->stream, [&driver, product] { runProduct(driver, product); });
  return queued ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

} // namespace

CUDASIM_BLAS cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
  if (!handle)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!ready(DriverLink::get()))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = Live<cublasContext>::get().add(std::make_unique<cublasContext>());
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  return Live<cublasContext>::get().remove(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

CUDASIM_BLAS cublasStatus_t cublasGetVersion_v2(cublasHandle_t, int *version) {
  return version ? (*version = 130100, CUBLAS_STATUS_SUCCESS) : CUBLAS_STATUS_INVALID_VALUE;
}

CUDASIM_BLAS cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  handle->workspace = nullptr; // documented: back to the library's own
  handle->workspaceBytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return stream ? (*stream = handle->stream, CUBLAS_STATUS_SUCCESS) : CUBLAS_STATUS_INVALID_VALUE;
}

CUDASIM_BLAS cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (reinterpret_cast<uintptr_t>(workspace) % kWorkspaceAlignment != 0 || (!workspace && bytes != 0))
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->workspace = workspace;
  handle->workspaceBytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  int base = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  if (base < CUBLAS_DEFAULT_MATH || base > CUBLAS_TF32_TENSOR_OP_MATH)
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  return mode ? (*mode = handle->math, CUBLAS_STATUS_SUCCESS) : CUBLAS_STATUS_INVALID_VALUE;
}

CUDASIM_BLAS cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode != CUBLAS_POINTER_MODE_HOST && mode != CUBLAS_POINTER_MODE_DEVICE)
    return CUBLAS_STATUS_INVALID_VALUE;
  handle->pointers = mode;
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t operationA,
                                           cublasOperation_t operationB, int m, int n, int k,
                                           const float *alpha, const float *a, int leadingA, const float *b,
                                           int leadingB, const float *beta, float *c, int leadingC) {
  return multiply(handle, {"cublasSgemm_v2",
                           operationA,
                           operationB,
                           m,
                           n,
                           k,
                           alpha,
                           a,
                           CUDA_R_32F,
                           leadingA,
                           0,
                           b,
                           CUDA_R_32F,
                           leadingB,
                           0,
                           beta,
                           c,
                           CUDA_R_32F,
                           leadingC,
                           0,
                           1,
                           CUBLAS_COMPUTE_32F});
}

CUDASIM_BLAS cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t operationA,
                                         cublasOperation_t operationB, int m, int n, int k, const void *alpha,
                                         const void *a, cudaDataType typeA, int leadingA, const void *b,
                                         cudaDataType typeB, int leadingB, const void *beta, void *c,
                                         cudaDataType typeC, int leadingC, cublasComputeType_t compute,
                                         cublasGemmAlgo_t) {
  return multiply(handle,
                  {"cublasGemmEx", operationA, operationB, m,    n, k,     alpha,    a, typeA, leadingA, 0, b,
                   typeB,          leadingB,   0,          beta, c, typeC, leadingC, 0, 1,     compute});
}

CUDASIM_BLAS cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t operationA, cublasOperation_t operationB, int m, int n, int k,
    const void *alpha, const void *a, cudaDataType typeA, int leadingA, long long strideA, const void *b,
    cudaDataType typeB, int leadingB, long long strideB, const void *beta, void *c, cudaDataType typeC,
    int leadingC, long long strideC, int batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  return multiply(handle, {"cublasGemmStridedBatchedEx",
                           operationA,
                           operationB,
                           m,
                           n,
                           k,
                           alpha,
                           a,
                           typeA,
                           leadingA,
                           strideA,
                           b,
                           typeB,
                           leadingB,
                           strideB,
                           beta,
                           c,
                           typeC,
                           leadingC,
                           strideC,
                           batch,
                           compute});
}

CUDASIM_BLAS const char *cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
#define CUBLAS_STATUS_NAME(name, value, text)                                                                \
  case name: return #name;
    CUBLAS_STATUSES(CUBLAS_STATUS_NAME)
#undef CUBLAS_STATUS_NAME
  }
  return "unknown status";
}

CUDASIM_BLAS const char *cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
#define CUBLAS_STATUS_TEXT(name, value, text)                                                                \
  case name: return text;
    CUBLAS_STATUSES(CUBLAS_STATUS_TEXT)
#undef CUBLAS_STATUS_TEXT
  }
  return "unknown status";
}
