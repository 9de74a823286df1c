// libcublasLt.so.13 for tests: products with epilogues, with the documented checks.
#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "blas/lt_descriptors.h"

using namespace cudasim;

struct cublasLtContext {};

namespace {

using Layout = cublasLtMatrixLayoutOpaque_t;
using Matmul = cublasLtMatmulDescOpaque_t;
using Preference = cublasLtMatmulPreferenceOpaque_t;

/// The descriptors of one call.
struct Problem {
  const Matmul *matmul;
  const Layout *a, *b, *c, *d;
};

struct Refusal {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  std::string why;
};
Refusal invalid(std::string why) { return {CUBLAS_STATUS_INVALID_VALUE, std::move(why)}; }
Refusal unsupported(std::string why) { return {CUBLAS_STATUS_NOT_SUPPORTED, std::move(why)}; }

cublasStatus_t logged(const Refusal &refusal, const char *call) {
  if (refusal.status != CUBLAS_STATUS_SUCCESS)
    logRefusal(*DriverLink::get(), call, refusal.why);
  return refusal.status;
}

int64_t rowsOf(const Layout &layout, int32_t operation) {
  return int64_t(operation ? layout.columns : layout.rows);
}
int64_t columnsOf(const Layout &layout, int32_t operation) {
  return int64_t(operation ? layout.rows : layout.columns);
}

Refusal checkLayout(const Layout &layout, char name) {
  if (layout.order != CUBLASLT_ORDER_COL && layout.order != CUBLASLT_ORDER_ROW)
    return unsupported(fmt::format("{}: the stand-in knows row and column order only", name));
  int64_t shortest = int64_t(layout.order == CUBLASLT_ORDER_COL ? layout.rows : layout.columns);
  if (layout.leading < std::max<int64_t>(1, shortest))
    return invalid(fmt::format("{}: {} x {}, its leading dimension is {}", name, layout.rows, layout.columns,
                               layout.leading));
  if (layout.batch < 1)
    return invalid(fmt::format("{}: a batch of {}", name, layout.batch));
  return {};
}

Refusal checkShapes(const Problem &p) {
  for (auto [layout, name] : {std::pair{p.a, 'A'}, {p.b, 'B'}, {p.c, 'C'}, {p.d, 'D'}})
    if (Refusal bad = checkLayout(*layout, name); bad.status != CUBLAS_STATUS_SUCCESS)
      return bad;
  int32_t operationA = p.matmul->operationA, operationB = p.matmul->operationB;
  if (!isOperation(operationA) || !isOperation(operationB))
    return invalid("no such operation");
  if (p.matmul->operationC != CUBLAS_OP_N)
    return unsupported("TRANSC is documented for CUBLAS_OP_N only");
  if (rowsOf(*p.a, operationA) != int64_t(p.d->rows) ||
      columnsOf(*p.b, operationB) != int64_t(p.d->columns) ||
      columnsOf(*p.a, operationA) != rowsOf(*p.b, operationB) || p.c->rows != p.d->rows ||
      p.c->columns != p.d->columns)
    return invalid(fmt::format("shapes: op(A) {} x {}, op(B) {} x {}, C {} x {}, D {} x {}",
                               rowsOf(*p.a, operationA), columnsOf(*p.a, operationA),
                               rowsOf(*p.b, operationB), columnsOf(*p.b, operationB), p.c->rows, p.c->columns,
                               p.d->rows, p.d->columns));
  if (p.a->batch != p.d->batch || p.b->batch != p.d->batch || p.c->batch != p.d->batch)
    return invalid("the batch counts differ");
  if (p.c->order != p.d->order)
    return invalid("C and D are in different orders");
  return {};
}

Refusal checkTypes(const Problem &p) {
  auto type = [](const Layout *layout) { return cudaDataType(layout->type); };
  if (p.matmul->scale != CUDA_R_32F || type(p.c) != type(p.d) ||
      !typesSupported(cublasComputeType_t(p.matmul->compute), type(p.a), type(p.b), type(p.d)))
    return unsupported(fmt::format("compute type {}, scale type {}, types {}, {} and {} into {}",
                                   p.matmul->compute, p.matmul->scale, p.a->type, p.b->type, p.c->type,
                                   p.d->type));
  if (p.matmul->pointers != CUBLASLT_POINTER_MODE_HOST && p.matmul->pointers != CUBLASLT_POINTER_MODE_DEVICE)
    return unsupported("the stand-in knows no vectors of alpha");
  return {};
}

constexpr unsigned kUsesBias =
    kEpilogueBias | kEpilogueBiasGradient | kEpilogueBiasGradientA | kEpilogueBiasGradientB;
constexpr unsigned kMask = kEpilogueRelu | kEpilogueReluGradient; // with AUX: a mask of bits

bool isEpilogue(uint32_t kind) {
  static constexpr cublasLtEpilogue_t all[] = {
      CUBLASLT_EPILOGUE_DEFAULT,     CUBLASLT_EPILOGUE_RELU,          CUBLASLT_EPILOGUE_BIAS,
      CUBLASLT_EPILOGUE_RELU_BIAS,   CUBLASLT_EPILOGUE_GELU,          CUBLASLT_EPILOGUE_GELU_BIAS,
      CUBLASLT_EPILOGUE_RELU_AUX,    CUBLASLT_EPILOGUE_RELU_AUX_BIAS, CUBLASLT_EPILOGUE_DRELU,
      CUBLASLT_EPILOGUE_DRELU_BGRAD, CUBLASLT_EPILOGUE_GELU_AUX,      CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
      CUBLASLT_EPILOGUE_DGELU,       CUBLASLT_EPILOGUE_DGELU_BGRAD,   CUBLASLT_EPILOGUE_BGRADA,
      CUBLASLT_EPILOGUE_BGRADB};
  return std::ranges::find(all, cublasLtEpilogue_t(kind)) != std::end(all);
}

/// `running`: the pointers must be set, too.
Refusal checkEpilogue(const Problem &p, bool running) {
  const Matmul &matmul = *p.matmul;
  if (!isEpilogue(matmul.epilogue))
    return invalid(fmt::format("no such epilogue: {}", matmul.epilogue));
  // Not documented, but seen on hardware: a bias that is not aligned to 16 bytes makes some kernels fail.
  if ((matmul.epilogue & kUsesBias) && reinterpret_cast<uintptr_t>(matmul.bias) % 16 != 0)
    return unsupported("the bias is not aligned to 16 bytes");
  if ((matmul.epilogue & kUsesBias) && matmul.biasType != -1 && uint32_t(matmul.biasType) != p.d->type)
    return unsupported("the bias is not of D's type");
  if (running && (matmul.epilogue & kUsesBias) && !matmul.bias)
    return invalid("the epilogue needs CUBLASLT_MATMUL_DESC_BIAS_POINTER");
  if (!(matmul.epilogue & kEpilogueAux))
    return {};
  int64_t unit = matmul.epilogue & kMask ? 128 : 8;
  if (matmul.auxLeading % unit != 0 || matmul.auxLeading < int64_t(p.d->rows) || matmul.auxStride % unit != 0)
    return invalid(
        fmt::format("the auxiliary matrix's leading dimension is {}: at least {} rows, a multiple of {}",
                    matmul.auxLeading, p.d->rows, unit));
  if (matmul.auxType != -1 && uint32_t(matmul.auxType) != p.d->type && !(matmul.epilogue & kMask))
    return unsupported("the auxiliary matrix is not of D's type");
  if (running && (!matmul.aux || reinterpret_cast<uintptr_t>(matmul.aux) % 16 != 0))
    return invalid("CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER is null or not aligned to 16 bytes");
  return {};
}

Refusal check(const Problem &p, bool running) {
  if (!Live<Matmul>::get().has(p.matmul))
    return invalid("no matmul descriptor");
  for (const Layout *layout : {p.a, p.b, p.c, p.d})
    if (!Live<Layout>::get().has(layout))
      return invalid("no matrix layout");
  for (Refusal bad : {checkShapes(p), checkTypes(p), checkEpilogue(p, running)})
    if (bad.status != CUBLAS_STATUS_SUCCESS)
      return bad;
  return {};
}

/// What an algorithm was chosen for; kept in the opaque bytes of cublasLtMatmulAlgo_t.
struct Algorithm {
  static constexpr uint64_t kMagic = 0x43554441'53494d31;
  uint64_t magic = kMagic, workspaceBytes = 0, problem = 0;
  uint32_t alignment[4] = {}; // of A, B, C, D, as the preference promised
  uint64_t unused[3] = {};
};
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));

/// Tells problems apart by all that an algorithm may depend on: not by pointers.
uint64_t fingerprint(const Problem &p) {
  uint64_t hash = 0xcbf29ce484222325; // FNV-1a
  auto add = [&](uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const Layout *layout : {p.a, p.b, p.c, p.d})
    for (uint64_t value : {uint64_t(layout->type), uint64_t(layout->order), layout->rows, layout->columns,
                           uint64_t(layout->leading), uint64_t(layout->batch), uint64_t(layout->batchStride)})
      add(value);
  const Matmul &m = *p.matmul;
  for (int64_t value :
       {int64_t{m.compute}, int64_t{m.operationA}, int64_t{m.operationB}, int64_t{m.epilogue}})
    add(uint64_t(value));
  return hash;
}

Matrix matrixOf(const Layout &layout, const void *data) {
  return {const_cast<void *>(data), cudaDataType(layout.type), layout.order == CUBLASLT_ORDER_ROW,
          int64_t(layout.rows),     int64_t(layout.columns),   layout.leading,
          layout.batchStride};
}

Epilogue epilogueOf(const Problem &p) {
  const Matmul &matmul = *p.matmul;
  int64_t length = int64_t(matmul.epilogue & kEpilogueBiasGradientB ? p.d->columns : p.d->rows);
  auto type = cudaDataType(p.d->type);
  return {matmul.epilogue,
          {matmul.bias, type, false, length, 1, length, matmul.biasStride},
          {matmul.aux, type, false, int64_t(p.d->rows), int64_t(p.d->columns), matmul.auxLeading,
           matmul.auxStride}};
}

Scale scaleOf(const Matmul &matmul, const void *pointer) {
  const auto *scale = static_cast<const float *>(pointer);
  return matmul.pointers == CUBLASLT_POINTER_MODE_DEVICE ? Scale{0, scale} : Scale{*scale, nullptr};
}

struct Data {
  const void *a, *b, *c;
  void *d, *workspace;
  size_t workspaceBytes;
};

Refusal checkAlgorithm(const Algorithm &algorithm, const Problem &p, const Data &data) {
  if (algorithm.magic != Algorithm::kMagic)
    return invalid("the algorithm does not come from cublasLtMatmulAlgoGetHeuristic");
  if (algorithm.problem != fingerprint(p))
    return invalid("the algorithm was chosen for another problem");
  if (data.workspaceBytes < algorithm.workspaceBytes)
    return invalid(fmt::format("the algorithm needs a workspace of {} bytes", algorithm.workspaceBytes));
  const void *pointers[] = {data.a, data.b, data.c, data.d};
  for (size_t index = 0; index < 4; ++index)
    if (reinterpret_cast<uintptr_t>(pointers[index]) % algorithm.alignment[index] != 0)
      return invalid(fmt::format("{} is not aligned to {} bytes, as the preference for the algorithm said",
                                 "ABCD"[index], algorithm.alignment[index]));
  return {};
}

Refusal checkData(const Problem &p, const Data &data, const cublasLtMatmulAlgo_t *algo) {
  if (!data.a || !data.b || !data.d)
    return invalid("A, B or D is null");
  if (data.workspaceBytes != 0 &&
      (!data.workspace || reinterpret_cast<uintptr_t>(data.workspace) % kWorkspaceAlignment != 0))
    return invalid("the workspace is null or not aligned to 256 bytes");
  return algo ? checkAlgorithm(std::bit_cast<Algorithm>(*algo), p, data) : Refusal();
}

bool alive(cublasLtHandle_t handle) { return Live<cublasLtContext>::get().has(handle); }

} // namespace

CUDASIM_BLAS size_t cublasLtGetVersion() { return 130100; }

CUDASIM_BLAS cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  if (!handle)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!ready(DriverLink::get()))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = Live<cublasLtContext>::get().add(std::make_unique<cublasLtContext>());
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return Live<cublasLtContext>::get().remove(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int requested,
    cublasLtMatmulHeuristicResult_t *results, int *returned) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  constexpr const char *kCall = "cublasLtMatmulAlgoGetHeuristic";
  if (!Live<Preference>::get().has(preference) || requested <= 0 || !results || !returned)
    return logged(invalid("no preference, no results, or none asked for"), kCall);
  *returned = 0;
  Problem problem{matmul, a, b, c, d};
  if (cublasStatus_t bad = logged(check(problem, false), kCall); bad != CUBLAS_STATUS_SUCCESS)
    return bad;
  if (DriverLink::get()->fails("lt"))
    return logged(unsupported("CUDASIM_FAIL=lt"), kCall);
  Algorithm algorithm;
  algorithm.workspaceBytes = std::min<uint64_t>(preference->workspaceBytes, kWorkspaceUsed);
  algorithm.problem = fingerprint(problem);
  uint32_t alignments[] = {preference->alignmentA, preference->alignmentB, preference->alignmentC,
                           preference->alignmentD};
  for (size_t index = 0; index < 4; ++index)
    algorithm.alignment[index] = std::max(1U, alignments[index]);
  results[0] = {
      std::bit_cast<cublasLtMatmulAlgo_t>(algorithm), algorithm.workspaceBytes, CUBLAS_STATUS_SUCCESS, 1, {}};
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                                           const void *alpha, const void *a, cublasLtMatrixLayout_t layoutA,
                                           const void *b, cublasLtMatrixLayout_t layoutB, const void *beta,
                                           const void *c, cublasLtMatrixLayout_t layoutC, void *d,
                                           cublasLtMatrixLayout_t layoutD, const cublasLtMatmulAlgo_t *algo,
                                           void *workspace, size_t workspaceBytes, cudaStream_t stream) {
  if (!alive(handle))
    return CUBLAS_STATUS_NOT_INITIALIZED;
  constexpr const char *kCall = "cublasLtMatmul";
  Problem problem{matmul, layoutA, layoutB, layoutC, layoutD};
  Data data{a, b, c, d, workspace, workspaceBytes};
  if (cublasStatus_t bad = logged(check(problem, true), kCall); bad != CUBLAS_STATUS_SUCCESS)
    return bad;
  if (!alpha || !beta)
    return logged(invalid("alpha or beta is null"), kCall);
  if (cublasStatus_t bad = logged(checkData(problem, data, algo), kCall); bad != CUBLAS_STATUS_SUCCESS)
    return bad;
  if (layoutD->rows == 0 || layoutD->columns == 0)
    return CUBLAS_STATUS_SUCCESS;
  const DriverLink &driver = *DriverLink::get();
  auto compute = cublasComputeType_t(matmul->compute);
  Product product{.call = kCall,
                  .m = int64_t(layoutD->rows),
                  .n = int64_t(layoutD->columns),
                  .k = columnsOf(*layoutA, matmul->operationA),
                  .batch = layoutD->batch,
                  .transposeA = matmul->operationA != CUBLAS_OP_N,
                  .transposeB = matmul->operationB != CUBLAS_OP_N,
                  .a = matrixOf(*layoutA, a),
                  .b = matrixOf(*layoutB, b),
                  .c = matrixOf(*layoutC, c),
                  .d = matrixOf(*layoutD, d),
                  .alpha = scaleOf(*matmul, alpha),
                  .beta = scaleOf(*matmul, beta),
                  .rounding = roundingOf(compute, cudaDataType(layoutA->type), false, deviceHasTf32(driver)),
                  .epilogue = epilogueOf(problem),
                  .workspace = workspace,
                  .workspaceBytes = std::min(workspaceBytes, kWorkspaceUsed)};
  bool queued = queueWork(driver, stream, [&driver, product] { runProduct(driver, product); });
  return queued ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
