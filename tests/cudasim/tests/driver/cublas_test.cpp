// The stand-in of cuBLAS: values for all transpositions, types, batches; refused arguments; order and memory.
#include <bit>

#include "tests/driver/matrices.h"

using namespace cudasim::test;

namespace {

struct Blas {
  CUcontext context = start();
  cublasHandle_t handle = nullptr;
  CUstream work = stream();

  Blas() {
    EXPECT_EQ(CUBLAS(cublasCreate_v2)(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(CUBLAS(cublasSetStream_v2)(handle, work), CUBLAS_STATUS_SUCCESS);
  }
  void wait() { EXPECT_OK(DRIVER(cuStreamSynchronize)(work)); }
};

float *pointer(CUdeviceptr address) { return reinterpret_cast<float *>(address); }

constexpr int kM = 5, kN = 7, kK = 11;

CUdeviceptr upload16(const std::vector<float> &values, cudaDataType type) {
  std::vector<uint16_t> bits;
  for (float value : values) // exact for the values of the test of types
    bits.push_back(type == CUDA_R_16BF ? uint16_t(std::bit_cast<uint32_t>(value) >> 16)
                   : value == 0        ? 0
                                       : uint16_t((std::bit_cast<uint32_t>(value) >> 16 & 0x8000) |
                                                  ((std::bit_cast<uint32_t>(value) >> 13 & 0x3fc00) - (112 << 10)) |
                                                  (std::bit_cast<uint32_t>(value) >> 13 & 0x3ff)));
  CUdeviceptr memory = 0;
  EXPECT_OK(DRIVER(cuMemAlloc_v2)(&memory, bits.size() * 2));
  EXPECT_OK(DRIVER(cuMemcpyHtoD_v2)(memory, bits.data(), bits.size() * 2));
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
  return memory;
}

} // namespace

DEVICE_TEST(Cublas, AllTranspositions) {
  Blas blas;
  for (int operations = 0; operations < 4; ++operations) {
    bool ta = operations & 1, tb = operations & 2;
    Stored a{ta ? kK : kM, ta ? kM : kK, (ta ? kK : kM) + 2},
        b{tb ? kN : kK, tb ? kK : kN, (tb ? kN : kK) + 1}, c{kM, kN, kM + 3};
    a.fill(1);
    b.fill(2);
    c.fill(3);
    CUdeviceptr deviceC = upload(c.values);
    float alpha = 1.5F, beta = -0.5F;
    EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
                                     tb ? CUBLAS_OP_T : CUBLAS_OP_N, kM, kN, kK, &alpha,
                                     pointer(upload(a.values)), int(a.leading), pointer(upload(b.values)),
                                     int(b.leading), &beta, pointer(deviceC), int(c.leading)),
              CUBLAS_STATUS_SUCCESS);
    blas.wait();
    Stored result = c;
    result.values = download(deviceC, c.values.size());
    for (int j = 0; j < kN; ++j)
      for (int i = 0; i < kM + 3; ++i)
        if (i < kM)
          EXPECT_NEAR(result.at(i, j), 1.5 * dot(a, ta, b, tb, i, j, kK) - 0.5 * double(c.at(i, j)), 1e-5);
        else
          EXPECT_EQ(result.at(i, j), c.at(i, j)) << "written between the columns";
  }
}

DEVICE_TEST(Cublas, BetaOfZeroDoesNotReadC) {
  Blas blas;
  CUdeviceptr a = upload({1, 2, 3, 4}), c = allocate(4); // NaNs, and never written
  float one = 1, zero = 0;
  EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, pointer(a), 2,
                                   pointer(a), 2, &zero, pointer(c), 2),
            CUBLAS_STATUS_SUCCESS);
  blas.wait();
  EXPECT_EQ(download(c, 4), (std::vector<float>{7, 10, 15, 22}));
}

DEVICE_TEST(Cublas, HalfTypesAndBatches) {
  Blas blas;
  std::vector<float> values = {1, -2, 0.5, 4, 3, 0.25, -1, 2};
  for (cudaDataType type : {CUDA_R_16F, CUDA_R_16BF}) {
    CUdeviceptr a = upload16(values, type), c = allocate(8);
    float one = 1, zero = 0;
    EXPECT_EQ(CUBLAS(cublasGemmStridedBatchedEx)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one,
                                                 pointer(a), type, 2, 4, pointer(a), type, 2, 0, &zero,
                                                 pointer(c), CUDA_R_32F, 2, 4, 2, CUBLAS_COMPUTE_32F,
                                                 CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    blas.wait();
    EXPECT_EQ(download(c, 8), (std::vector<float>{0, -10, 2.5, 15, 5, -3.75, -2.5, 8.125}));
  }
}

DEVICE_TEST(Cublas, Tf32KeepsTenBits) {
  Blas blas;
  float fine = 1 + 0x1p-13F, one = 1, zero = 0; // tf32 rounds it to 1
  CUdeviceptr a = upload({fine}), b = upload({1}), c = allocate(1);
  auto product = [&] {
    EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, pointer(a), 1,
                                     pointer(b), 1, &zero, pointer(c), 1),
              CUBLAS_STATUS_SUCCESS);
    blas.wait();
    return download(c, 1)[0];
  };
  EXPECT_EQ(product(), fine);
  EXPECT_EQ(CUBLAS(cublasSetMathMode)(blas.handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(product(), 1);
}

DEVICE_TEST(Cublas, BadArgumentsAreRefused) {
  Blas blas;
  CUdeviceptr memory = upload(std::vector<float>(64, 1));
  float one = 1;
  auto gemm = [&](int operation, int m, int leadingA, int leadingC, const float *alpha) {
    return CUBLAS(cublasSgemm_v2)(blas.handle, cublasOperation_t(operation), CUBLAS_OP_N, m, 2, 3, alpha,
                                  pointer(memory), leadingA, pointer(memory), 3, &one, pointer(memory),
                                  leadingC);
  };
  EXPECT_EQ(gemm(CUBLAS_OP_N, 4, 3, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(CUBLAS_OP_T, 4, 2, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(CUBLAS_OP_N, 4, 4, 3, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(CUBLAS_OP_N, -1, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(7, 4, 4, 4, &one), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(CUBLAS_OP_N, 4, 4, 4, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(gemm(CUBLAS_OP_N, 0, 1, 1, &one), CUBLAS_STATUS_SUCCESS); // nothing to do
  EXPECT_EQ(CUBLAS(cublasGemmEx)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, pointer(memory),
                                 CUDA_R_16F, 2, pointer(memory), CUDA_R_32F, 2, &one, pointer(memory),
                                 CUDA_R_32F, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(CUBLAS(cublasSetWorkspace_v2)(blas.handle, pointer(memory) + 1, 8), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(CUBLAS(cublasDestroy_v2)(blas.handle), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(CUBLAS(cublasDestroy_v2)(blas.handle), CUBLAS_STATUS_NOT_INITIALIZED);
}

DEVICE_TEST(Cublas, NeedsAContextAndANewDriver) {
  cublasHandle_t handle = nullptr;
  EXPECT_OK(DRIVER(cuInit)(0));
  EXPECT_EQ(CUBLAS(cublasCreate_v2)(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
  setenv("CUDASIM_FAIL", "olddriver", 1);
  start();
  EXPECT_EQ(CUBLAS(cublasCreate_v2)(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
}

DEVICE_TEST(Cublas, MemoryIsCheckedWhenTheProductRuns) {
  testing::internal::CaptureStderr();
  Blas blas;
  CUdeviceptr small = upload({1, 2, 3}), c = allocate(4);
  float one = 1, zero = 0;
  EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, pointer(small), 2,
                                   pointer(small), 2, &zero, pointer(c), 2),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(DRIVER(cuStreamSynchronize)(blas.work), CUDA_ERROR_ILLEGAL_ADDRESS);
  std::string report = testing::internal::GetCapturedStderr();
  EXPECT_NE(report.find("cublasSgemm_v2: A: 16 bytes"), std::string::npos) << report;
}

DEVICE_TEST(Cublas, UnwrittenOperandsAndOverlapsAreReported) {
  auto multiply = [](bool overlap) {
    Blas blas;
    CUdeviceptr a = overlap ? upload(std::vector<float>(8, 1)) : allocate(8);
    float one = 1, zero = 0;
    EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, pointer(a), 2,
                                     pointer(a), 2, &zero, pointer(a) + 3, 2),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(DRIVER(cuStreamSynchronize)(blas.work), CUDA_ERROR_ILLEGAL_ADDRESS);
  };
  static auto run = multiply;
  inChild({}, [] { run(false); });
  inChild({}, [] { run(true); });
}

DEVICE_TEST(Cublas, RacesWithOtherStreamsAreReported) {
  testing::internal::CaptureStderr();
  Blas blas;
  CUdeviceptr a = upload({2}), c = upload({0});
  float one = 1;
  EXPECT_OK(DRIVER(cuMemsetD32Async)(a, 0, 1, stream())); // nothing orders it with the product
  EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, pointer(a), 1,
                                   pointer(a), 1, &one, pointer(c), 1),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_NE(DRIVER(cuCtxSynchronize)(), CUDA_SUCCESS);
  std::string report = testing::internal::GetCapturedStderr();
  EXPECT_NE(report.find("race between streams: nothing orders"), std::string::npos) << report;
}

DEVICE_TEST(Cublas, GraphsReplayProducts) {
  Blas blas;
  CUdeviceptr a = upload({2}), c = upload({0});
  float one = 1;
  EXPECT_OK(DRIVER(cuStreamBeginCapture_v2)(blas.work, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  for (int k = 0; k < 2; ++k)
    EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, pointer(a), 1,
                                     pointer(a), 1, &one, pointer(c), 1),
              CUBLAS_STATUS_SUCCESS);
  CUgraph graph = nullptr;
  CUgraphExec executable = nullptr;
  EXPECT_OK(DRIVER(cuStreamEndCapture)(blas.work, &graph));
  EXPECT_OK(DRIVER(cuGraphInstantiateWithFlags)(&executable, graph, 0));
  for (int k = 0; k < 3; ++k)
    EXPECT_OK(DRIVER(cuGraphLaunch)(executable, blas.work));
  blas.wait();
  EXPECT_EQ(download(c, 1)[0], 24);
}

DEVICE_TEST(Cublas, TheUsersWorkspaceIsOverwritten) {
  Blas blas;
  CUdeviceptr workspace = upload(std::vector<float>(64, 1)), a = upload({2}), c = allocate(1);
  float one = 1, zero = 0;
  EXPECT_EQ(CUBLAS(cublasSetWorkspace_v2)(blas.handle, pointer(workspace), 256), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(CUBLAS(cublasSgemm_v2)(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, pointer(a), 1,
                                   pointer(a), 1, &zero, pointer(c), 1),
            CUBLAS_STATUS_SUCCESS);
  blas.wait();
  EXPECT_TRUE(std::isnan(download(workspace, 64)[63]));
}
