// The stand-in of cuBLASLt: epilogues against double precision, orders, batches, and what is refused.
#include "tests/driver/matrices.h"

using namespace cudasim::test;

namespace {

constexpr int64_t kM = 24, kN = 5, kK = 9;

double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double geluGradient(double x) { return (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5; }

struct Lt {
  CUcontext context = start();
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t matmul = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  Stored a{kM, kK, kM}, b{kK, kN, kK};
  CUdeviceptr deviceA = upload(a.fill(1).values), deviceB = upload(b.fill(2).values),
              deviceD = allocate(kM * kN);
  cublasLtMatrixLayout_t layoutA = layout(a), layoutB = layout(b), layoutD = layout({kM, kN, kM});

  Lt() {
    EXPECT_EQ(CUBLASLT(cublasLtCreate)(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(CUBLASLT(cublasLtMatmulDescCreate)(&matmul, CUBLAS_COMPUTE_32F, CUDA_R_32F),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(CUBLASLT(cublasLtMatmulPreferenceCreate)(&preference), CUBLAS_STATUS_SUCCESS);
  }
  static cublasLtMatrixLayout_t layout(const Stored &matrix, cudaDataType type = CUDA_R_32F) {
    cublasLtMatrixLayout_t made = nullptr;
    EXPECT_EQ(CUBLASLT(cublasLtMatrixLayoutCreate)(&made, type, uint64_t(matrix.rows),
                                                   uint64_t(matrix.columns), matrix.leading),
              CUBLAS_STATUS_SUCCESS);
    return made;
  }
  template <typename T> void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    EXPECT_EQ(CUBLASLT(cublasLtMatmulDescSetAttribute)(matmul, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  template <typename T>
  static void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, T value) {
    EXPECT_EQ(CUBLASLT(cublasLtMatrixLayoutSetAttribute)(layout, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  template <typename T> void prefer(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    EXPECT_EQ(CUBLASLT(cublasLtMatmulPreferenceSetAttribute)(preference, attribute, &value, sizeof value),
              CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t choose(cublasLtMatmulHeuristicResult_t &result) {
    int count = 0;
    return CUBLASLT(cublasLtMatmulAlgoGetHeuristic)(handle, matmul, layoutA, layoutB, layoutD, layoutD,
                                                    preference, 1, &result, &count);
  }
  cublasStatus_t multiply(const cublasLtMatmulAlgo_t *algorithm = nullptr, CUdeviceptr workspace = 0,
                          size_t bytes = 0, int64_t shift = 0) {
    float one = 1, zero = 0;
    auto at = [](CUdeviceptr address) { return reinterpret_cast<void *>(address); };
    return CUBLASLT(cublasLtMatmul)(handle, matmul, &one, at(deviceA + CUdeviceptr(shift)), layoutA,
                                    at(deviceB), layoutB, &zero, at(deviceD), layoutD, at(deviceD), layoutD,
                                    algorithm, at(workspace), bytes, nullptr);
  }
  Stored result() {
    Stored d{kM, kN, kM};
    d.values = download(deviceD, kM * kN);
    return d;
  }
  double product(int64_t i, int64_t j) { return dot(a, false, b, false, i, j, kK); }
};

/// Compares D with what `expected` makes of row, column and product.
template <typename Expected> void compare(Lt &lt, Expected expected) {
  EXPECT_EQ(lt.multiply(), CUBLAS_STATUS_SUCCESS);
  Stored d = lt.result();
  for (int64_t j = 0; j < kN; ++j)
    for (int64_t i = 0; i < kM; ++i)
      EXPECT_NEAR(d.at(i, j), expected(i, j, lt.product(i, j)), 2e-5) << i << " " << j;
}

double relu(double x) { return x > 0 ? x : 0; }

struct WithBias : Lt {
  Stored bias = Stored{kM, 1, kM}.fill(7);
  CUdeviceptr device = upload(bias.values);

  WithBias(cublasLtEpilogue_t epilogue) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, device);
  }
};

} // namespace

DEVICE_TEST(CublasLt, DefaultAndActivations) {
  Lt lt;
  compare(lt, [](int64_t, int64_t, double x) { return x; });
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU);
  compare(lt, [](int64_t, int64_t, double x) { return relu(x); });
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU);
  compare(lt, [](int64_t, int64_t, double x) { return gelu(x); });
}

DEVICE_TEST(CublasLt, BiasIsPerRow) {
  WithBias plain(CUBLASLT_EPILOGUE_BIAS);
  compare(plain, [&](int64_t i, int64_t, double x) { return x + plain.bias.at(i, 0); });
  WithBias relued(CUBLASLT_EPILOGUE_RELU_BIAS);
  compare(relued, [&](int64_t i, int64_t, double x) { return relu(x + relued.bias.at(i, 0)); });
  WithBias gelued(CUBLASLT_EPILOGUE_GELU_BIAS);
  compare(gelued, [&](int64_t i, int64_t, double x) { return gelu(x + gelued.bias.at(i, 0)); });
}

DEVICE_TEST(CublasLt, ReluMaskGoesForthAndBack) {
  WithBias lt(CUBLASLT_EPILOGUE_RELU_AUX_BIAS);
  CUdeviceptr mask = allocate(128 * kN / 32);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, int64_t{128});
  EXPECT_OK(DRIVER(cuMemsetD32Async)(mask, 0, 128 * kN / 32, nullptr));
  compare(lt, [&](int64_t i, int64_t, double x) { return relu(x + lt.bias.at(i, 0)); });
  auto passes = [&](int64_t i, int64_t j) { return lt.product(i, j) + double(lt.bias.at(i, 0)) > 0; };
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DRELU);
  compare(lt, [&](int64_t i, int64_t j, double x) { return passes(i, j) ? x : 0; });
  CUdeviceptr gradient = allocate(kM);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DRELU_BGRAD);
  lt.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, gradient);
  compare(lt, [&](int64_t i, int64_t j, double x) { return passes(i, j) ? x : 0; });
  std::vector<float> sums = download(gradient, kM);
  for (int64_t i = 0; i < kM; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < kN; ++j)
      sum += passes(i, j) ? lt.product(i, j) : 0;
    EXPECT_NEAR(sums[size_t(i)], sum, 2e-5);
  }
}

DEVICE_TEST(CublasLt, GeluInputGoesForthAndBack) {
  WithBias lt(CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  CUdeviceptr input = allocate(kM * kN);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, input);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, kM);
  compare(lt, [&](int64_t i, int64_t, double x) { return gelu(x + lt.bias.at(i, 0)); });
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DGELU);
  compare(lt, [&](int64_t i, int64_t, double x) { return x * geluGradient(x + lt.bias.at(i, 0)); });
}

DEVICE_TEST(CublasLt, BiasGradientsOfTheOperands) {
  Lt lt;
  CUdeviceptr gradient = allocate(kM);
  lt.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, gradient);
  auto column = [&](Stored &matrix, int64_t index, bool row) {
    double sum = 0;
    for (int64_t k = 0; k < kK; ++k)
      sum += row ? matrix.at(index, k) : matrix.at(k, index);
    return sum;
  };
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADA);
  compare(lt, [](int64_t, int64_t, double x) { return x; });
  std::vector<float> sums = download(gradient, kM);
  for (int64_t i = 0; i < kM; ++i)
    EXPECT_NEAR(sums[size_t(i)], column(lt.a, i, true), 1e-5);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADB);
  compare(lt, [](int64_t, int64_t, double x) { return x; });
  sums = download(gradient, kN);
  for (int64_t j = 0; j < kN; ++j)
    EXPECT_NEAR(sums[size_t(j)], column(lt.b, j, false), 1e-5);
}

DEVICE_TEST(CublasLt, RowOrderAndTransposition) {
  Lt lt;
  Stored row{kM, kK, kK, 1, 0, true}; // the same bytes as a transposed matrix in column order
  lt.deviceA = upload(row.fill(9).values);
  lt.layoutA = Lt::layout(row);
  Lt::set(lt.layoutA, CUBLASLT_MATRIX_LAYOUT_ORDER, CUBLASLT_ORDER_ROW);
  auto expected = [&](int64_t i, int64_t j, double) { return dot(row, false, lt.b, false, i, j, kK); };
  compare(lt, expected);
  lt.layoutA = Lt::layout({kK, kM, kK});
  lt.set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  compare(lt, expected);
}

DEVICE_TEST(CublasLt, Batches) {
  Lt lt;
  Stored b{kK, kN, kK, 2, kK * kN};
  lt.deviceB = upload(b.fill(5).values);
  lt.deviceD = allocate(2 * kM * kN);
  for (cublasLtMatrixLayout_t layout : {lt.layoutA, lt.layoutB, lt.layoutD})
    Lt::set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t{2});
  Lt::set(lt.layoutB, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, kK * kN);
  Lt::set(lt.layoutD, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, kM * kN);
  EXPECT_EQ(lt.multiply(), CUBLAS_STATUS_SUCCESS);
  std::vector<float> d = download(lt.deviceD, 2 * kM * kN);
  Stored repeated = lt.a; // a stride of 0
  repeated.batch = 2;
  for (int64_t batch = 0; batch < 2; ++batch)
    EXPECT_NEAR(d[size_t(batch * kM * kN + 3 * kM + 4)], dot(repeated, false, b, false, 4, 3, kK, batch),
                1e-5);
}

DEVICE_TEST(CublasLt, AlgorithmsAreForOneProblemAndItsAlignment) {
  Lt lt;
  cublasLtMatmulHeuristicResult_t chosen{};
  lt.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{1 << 20});
  EXPECT_EQ(lt.choose(chosen), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(chosen.state, CUBLAS_STATUS_SUCCESS);
  EXPECT_GT(chosen.workspaceSize, 0U);
  CUdeviceptr workspace = allocate(chosen.workspaceSize / 4 + 64);
  EXPECT_EQ(lt.multiply(&chosen.algo), CUBLAS_STATUS_INVALID_VALUE); // no workspace
  EXPECT_EQ(lt.multiply(&chosen.algo, workspace + 16, chosen.workspaceSize), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(lt.multiply(&chosen.algo, workspace, chosen.workspaceSize), CUBLAS_STATUS_SUCCESS);
  lt.layoutA = Lt::layout({kM - 4, kK, kM}); // rows 4 to 27, which are not aligned to 256 bytes
  lt.layoutD = Lt::layout({kM - 4, kN, kM});
  EXPECT_EQ(lt.multiply(&chosen.algo, workspace, chosen.workspaceSize),
            CUBLAS_STATUS_INVALID_VALUE); // another problem
  EXPECT_EQ(lt.choose(chosen), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(lt.multiply(&chosen.algo, workspace, chosen.workspaceSize, 16), CUBLAS_STATUS_INVALID_VALUE);
  lt.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t{16});
  EXPECT_EQ(lt.choose(chosen), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(lt.multiply(&chosen.algo, workspace, chosen.workspaceSize, 16), CUBLAS_STATUS_SUCCESS);
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
}

DEVICE_TEST(CublasLt, BadArgumentsAreRefused) {
  Lt lt;
  cublasLtMatmulHeuristicResult_t chosen{};
  auto expect = [&](cublasStatus_t status) { EXPECT_EQ(lt.multiply(), status); };
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  expect(CUBLAS_STATUS_INVALID_VALUE); // no bias pointer
  lt.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, lt.deviceA + 4);
  EXPECT_EQ(lt.choose(chosen), CUBLAS_STATUS_NOT_SUPPORTED); // not aligned
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU_AUX);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, lt.deviceA);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, kM); // no multiple of 128
  expect(CUBLAS_STATUS_INVALID_VALUE);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, 3U);
  expect(CUBLAS_STATUS_INVALID_VALUE);
  lt.set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  lt.layoutB = Lt::layout({kK + 1, kN, kK + 1});
  expect(CUBLAS_STATUS_INVALID_VALUE); // shapes
  lt.layoutB = Lt::layout({kK, kN, kK - 1});
  expect(CUBLAS_STATUS_INVALID_VALUE); // leading dimension
  lt.layoutB = Lt::layout({kK, kN, kK}, CUDA_R_16F);
  expect(CUBLAS_STATUS_NOT_SUPPORTED); // types
  EXPECT_EQ(CUBLASLT(cublasLtMatrixLayoutDestroy)(lt.layoutB), CUBLAS_STATUS_SUCCESS);
  expect(CUBLAS_STATUS_INVALID_VALUE); // destroyed
  uint64_t wide = 0;
  EXPECT_EQ(
      CUBLASLT(cublasLtMatmulDescSetAttribute)(lt.matmul, CUBLASLT_MATMUL_DESC_TRANSA, &wide, sizeof wide),
      CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(CUBLASLT(cublasLtDestroy)(lt.handle), CUBLAS_STATUS_SUCCESS);
  expect(CUBLAS_STATUS_NOT_INITIALIZED);
}

DEVICE_TEST(CublasLt, NoAlgorithm, {"CUDASIM_FAIL", "lt"}) {
  Lt lt;
  cublasLtMatmulHeuristicResult_t chosen{};
  EXPECT_EQ(lt.choose(chosen), CUBLAS_STATUS_NOT_SUPPORTED);
}
