// Checks that cuBLAS and cuBLASLt share.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "blas/cublas_api.h"
#include "blas/product.h"

namespace cudasim {

/// The objects behind handles, so that a handle of a destroyed one is noticed.
template <typename T> class Live {
public:
  static Live &get() {
    static auto *all = new Live;
    return *all;
  }
  T *add(std::unique_ptr<T> object) {
    std::scoped_lock lock(mutex_);
    T *handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  bool has(const T *handle) {
    std::scoped_lock lock(mutex_);
    return objects_.contains(handle);
  }
  bool remove(const T *handle) {
    std::scoped_lock lock(mutex_);
    return objects_.erase(handle) != 0;
  }

private:
  std::mutex mutex_;
  std::map<const T *, std::unique_ptr<T>> objects_;
};

/// The documented combinations of types: products of f16 or bf16 give the same type or f32, those of f32 give f32;
/// what the stand-ins know of them.
bool typesSupported(cublasComputeType_t compute, cudaDataType a, cudaDataType b, cudaDataType c);

/// How operands are rounded; `tensorMath`: cuBLAS's math mode asks for tf32.
Rounding roundingOf(cublasComputeType_t compute, cudaDataType operand, bool tensorMath, bool deviceHasTf32);

inline bool isOperation(int32_t operation) { return operation >= CUBLAS_OP_N && operation <= CUBLAS_OP_C; }

/// What the libraries may use of a workspace, overwritten by each product.
inline constexpr size_t kWorkspaceUsed = 64 << 10;
inline constexpr uintptr_t kWorkspaceAlignment = 256;

} // namespace cudasim
