#include "runtime/cuda/blas.h"

#include <fmt/format.h>

#include "runtime/cuda/blas_functions.h"
#include "support/dtype.h"

namespace gradc::cuda {
namespace {

// cuBLAS first needs cuBLASLt, which lies beside it: loaded before, it is found where no path names it.
constexpr const char *kLtNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr const char *kBlasNames[] = {"libcublas.so.13", "libcublas.so.12"};
constexpr int64_t kWorkspaceBytes = int64_t{32} << 20; // what cuBLAS asks for on Hopper

Status failed(const char *what, int code) {
  return {ExitCode::Device, fmt::format("cuBLAS: {} failed with status {}", what, code)};
}

int dataType(int32_t dtype) {
  switch (static_cast<DType>(dtype)) {
  case DType::F16: return kR16F;
  case DType::BF16: return kR16BF;
  default: return kR32F;
  }
}

int computeType(const gradc_cuda_product &p) {
  switch (static_cast<gradc_cuda_compute>(p.compute)) {
  case GRADC_CUDA_COMPUTE_TF32: return kCompute32FTf32;
  case GRADC_CUDA_COMPUTE_BF16: return kCompute32FBf16;
  case GRADC_CUDA_COMPUTE_F16: return kCompute32FF16;
  case GRADC_CUDA_COMPUTE_F32: break;
  }
  return dataType(p.factor_dtype) == kR32F ? kCompute32FPedantic : kCompute32F;
}

int epilogueValue(int32_t epilogue) {
  switch (static_cast<gradc_cuda_epilogue>(epilogue)) {
  case GRADC_CUDA_EPILOGUE_NONE: return kEpilogueDefault;
  case GRADC_CUDA_EPILOGUE_BIAS: return kEpilogueBias;
  case GRADC_CUDA_EPILOGUE_RELU: return kEpilogueRelu;
  case GRADC_CUDA_EPILOGUE_RELU_BIAS: return kEpilogueRelu | kEpilogueBias;
  case GRADC_CUDA_EPILOGUE_GELU: return kEpilogueGelu;
  case GRADC_CUDA_EPILOGUE_GELU_BIAS: return kEpilogueGelu | kEpilogueBias;
  }
  return kEpilogueDefault;
}

bool hasBias(const gradc_cuda_product &p) { return (epilogueValue(p.epilogue) & kEpilogueBias) != 0; }

const void *pointer(Address address) { return reinterpret_cast<const void *>(address); }

/// cuBLAS stores matrices column by column. A row-major matrix read so is its transpose, and cᵀ = bᵀ · aᵀ: b is its
/// first factor, a its second, with n rows and m columns in the result.
struct ColumnMajor {
  int m, n, k, first, second; // operations
  int64_t ldFirst, ldSecond, ldResult;

  explicit ColumnMajor(const gradc_cuda_product &p)
      : m(static_cast<int>(p.n)), n(static_cast<int>(p.m)), k(static_cast<int>(p.k)),
        first(p.transpose_b ? kOpT : kOpN), second(p.transpose_a ? kOpT : kOpN),
        ldFirst(p.transpose_b ? p.k : p.n), ldSecond(p.transpose_a ? p.m : p.k), ldResult(p.n) {}
};

/// Both libraries with one handle each, and the memory that they work in.
struct Libraries {
  const Context *context = nullptr;
  BlasFunctions blas;
  LtFunctions lt;
  BlasHandle handle = nullptr;
  LtHandle ltHandle = nullptr;
  DeviceMemory workspace;
  std::string path;

  ~Libraries() {
    if (handle)
      blas.destroy(handle);
    if (ltHandle)
      lt.destroy(ltHandle);
  }
  Status load();
  Status start();
};

Status Libraries::load() {
  StatusOr<DynamicLibrary> ltLibrary = openCudaLibrary(kLtNames);
  StatusOr<DynamicLibrary> library = ltLibrary ? openCudaLibrary(kBlasNames) : ltLibrary;
  if (!library)
    return {ExitCode::Device,
            fmt::format(
                "cuBLAS, which multiplies matrices on CUDA devices, cannot be loaded: {}; it is part of the "
                "CUDA toolkit 12 and 13: set CUDA_PATH to the toolkit's folder, or LD_LIBRARY_PATH",
                library.error().text)};
  const char *missing = nullptr;
#define GRADC_FIND(member, name, parameters)                                                                 \
  if (!library->find(name, blas.member))                                                                     \
    missing = name;
  GRADC_CUBLAS(GRADC_FIND)
#undef GRADC_FIND
#define GRADC_FIND(member, name, parameters)                                                                 \
  if (!ltLibrary->find(name, lt.member))                                                                     \
    missing = name;
  GRADC_CUBLASLT(GRADC_FIND)
#undef GRADC_FIND
  path = library->path();
  if (missing)
    return {ExitCode::Device,
            fmt::format("'{}' is no cuBLAS of CUDA 12 or 13: it has no {}", library->path(), missing)};
  return okStatus();
}

Status Libraries::start() {
  if (int code = blas.create(&handle); code != 0)
    return failed("starting it", code);
  if (int code = lt.create(&ltHandle); code != 0)
    return failed("starting cuBLASLt", code);
  StatusOr<DeviceMemory> memory =
      DeviceMemory::allocate(*context, kWorkspaceBytes, "the workspace of cuBLAS", kWorkspaceBytes);
  if (!memory)
    return memory.error();
  workspace = std::move(*memory);
  return okStatus();
}

constexpr float kOne = 1, kZero = 0;

class GemmProduct final : public Blas::Product {
public:
  GemmProduct(Libraries &libraries, const gradc_cuda_product &product) : l_(libraries), p_(product) {}

  Status run(std::span<const Address> at, StreamHandle stream) override {
    const ColumnMajor c(p_);
    const int factor = dataType(p_.factor_dtype);
    // The stream gives the handle a workspace of its own, so ours comes after.
    int code = l_.blas.setStream(l_.handle, stream);
    if (code == 0)
      code = l_.blas.setWorkspace(l_.handle, const_cast<void *>(pointer(l_.workspace.address())),
                                  kWorkspaceBytes);
    if (code == 0)
      code = l_.blas.gemmStridedBatched(l_.handle, c.first, c.second, c.m, c.n, c.k, &kOne, pointer(at[1]),
                                        factor, static_cast<int>(c.ldFirst), p_.stride_b, pointer(at[0]),
                                        factor, static_cast<int>(c.ldSecond), p_.stride_a, &kZero,
                                        const_cast<void *>(pointer(at[2])), dataType(p_.result_dtype),
                                        static_cast<int>(c.ldResult), p_.stride_c, static_cast<int>(p_.batch),
                                        computeType(p_), kGemmDefault);
    return code == 0 ? okStatus() : failed("a product", code);
  }

private:
  Libraries &l_;
  const gradc_cuda_product p_;
};

class LtProduct final : public Blas::Product {
public:
  LtProduct(Libraries &libraries, const gradc_cuda_product &product) : l_(libraries), p_(product) {}
  ~LtProduct() override {
    for (LtLayout layout : {first_, second_, result_})
      if (layout)
        l_.lt.layoutDestroy(layout);
    if (desc_)
      l_.lt.descDestroy(desc_);
  }

  Status prepare() {
    int code = describe();
    if (code == 0)
      code = chooseAlgorithm();
    return code == 0 ? okStatus() : failed("choosing an algorithm of cuBLASLt", code);
  }

  Status run(std::span<const Address> at, StreamHandle stream) override {
    int code = 0;
    if (hasBias(p_)) {
      const void *bias = pointer(at[3]);
      code = l_.lt.descSet(desc_, kDescBiasPointer, &bias, sizeof bias);
    }
    void *result = const_cast<void *>(pointer(at[2]));
    if (code == 0)
      code = l_.lt.matmul(l_.ltHandle, desc_, &kOne, pointer(at[1]), first_, pointer(at[0]), second_, &kZero,
                          result, result_, result, result_, &algorithm_,
                          const_cast<void *>(pointer(l_.workspace.address())), kWorkspaceBytes, stream);
    return code == 0 ? okStatus() : failed("a product of cuBLASLt", code);
  }

private:
  int describe() {
    const ColumnMajor c(p_);
    const int epilogue = epilogueValue(p_.epilogue), factor = dataType(p_.factor_dtype),
              result = dataType(p_.result_dtype);
    int code = l_.lt.descCreate(&desc_, computeType(p_), kR32F);
    auto set = [&](int attribute, const auto &value) {
      if (code == 0)
        code = l_.lt.descSet(desc_, attribute, &value, sizeof value);
    };
    set(kDescTransA, c.first);
    set(kDescTransB, c.second);
    set(kDescEpilogue, epilogue);
    if (hasBias(p_)) {
      set(kDescBiasType, result);
      // Heuristics look at whether there is a bias; its address comes with each run.
      const void *bias = pointer(l_.workspace.address());
      set(kDescBiasPointer, bias);
    }
    auto layout = [&](LtLayout &into, int type, int64_t rows, int64_t columns, int64_t ld, int64_t stride) {
      if (code == 0)
        code =
            l_.lt.layoutCreate(&into, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld);
      const auto count = static_cast<int32_t>(p_.batch);
      if (code == 0 && count > 1)
        code = l_.lt.layoutSet(into, kLayoutBatchCount, &count, sizeof count);
      if (code == 0 && count > 1)
        code = l_.lt.layoutSet(into, kLayoutBatchStride, &stride, sizeof stride);
    };
    layout(first_, factor, c.ldFirst, c.first == kOpN ? c.k : c.m, c.ldFirst, p_.stride_b);
    layout(second_, factor, c.ldSecond, c.second == kOpN ? c.n : c.k, c.ldSecond, p_.stride_a);
    layout(result_, result, c.ldResult, c.n, c.ldResult, p_.stride_c);
    return code;
  }

  int chooseAlgorithm() {
    LtPreference preference = nullptr;
    const uint64_t most = kWorkspaceBytes;
    LtHeuristicResult found{};
    int count = 0, code = l_.lt.preferenceCreate(&preference);
    if (code == 0)
      code = l_.lt.preferenceSet(preference, kPreferenceWorkspaceBytes, &most, sizeof most);
    if (code == 0)
      code = l_.lt.heuristic(l_.ltHandle, desc_, first_, second_, result_, result_, preference, 1, &found,
                             &count);
    if (preference)
      l_.lt.preferenceDestroy(preference);
    if (code == 0 && count == 0)
      code = found.state != 0 ? found.state : 15; // CUBLAS_STATUS_NOT_SUPPORTED
    algorithm_ = found.algorithm;
    return code;
  }

  Libraries &l_;
  const gradc_cuda_product p_;
  LtMatmulDesc desc_ = nullptr;
  LtLayout first_ = nullptr, second_ = nullptr, result_ = nullptr;
  LtAlgorithm algorithm_{};
};

class LoadedBlas final : public Blas {
public:
  Status start(const Context &context) {
    libraries_.context = &context;
    Status status = libraries_.load();
    return status.ok() ? libraries_.start() : status;
  }

  StatusOr<std::unique_ptr<Product>> prepare(const gradc_cuda_product &product) override {
    if (product.epilogue == GRADC_CUDA_EPILOGUE_NONE)
      return std::make_unique<GemmProduct>(libraries_, product);
    auto made = std::make_unique<LtProduct>(libraries_, product);
    if (Status ready = made->prepare(); !ready.ok())
      return std::unexpected(ready);
    return made;
  }

private:
  Libraries libraries_;
};

} // namespace

StatusOr<std::string> Blas::locate() {
  Libraries libraries;
  if (Status loaded = libraries.load(); !loaded.ok())
    return std::unexpected(loaded);
  return libraries.path;
}

StatusOr<std::unique_ptr<Blas>> Blas::make(const Context &context) {
  auto blas = std::make_unique<LoadedBlas>();
  if (Status started = blas->start(context); !started.ok())
    return std::unexpected(started);
  return blas;
}

} // namespace gradc::cuda
