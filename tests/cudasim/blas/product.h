// Matrix products on the simulated device's memory: D = epilogue(alpha · op(A) · op(B) + beta · C). One element is the
// sum over k in ascending order, in f32.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blas/cublas_abi.h"
#include "blas/driver_link.h"

namespace cudasim {

size_t bytesOf(cudaDataType type); // 0: no type that the stand-ins know

/// A matrix of each product of a batch, as it is stored.
struct Matrix {
  void *data = nullptr;
  cudaDataType type = CUDA_R_32F;
  bool rowMajor = false;
  int64_t rows = 0, columns = 0, leading = 0, batchStride = 0; // in elements

  void *at(int64_t batch, int64_t row, int64_t column) const;
};

/// What the operands are rounded to before they are multiplied.
enum class Rounding : uint8_t { None, Tf32, F16, Bf16 };

struct Epilogue {
  unsigned kind = CUBLASLT_EPILOGUE_DEFAULT;
  Matrix bias; // one column: D's rows, or its columns for BGRADB
  Matrix aux;  // RELU: bits, leading counts them; GELU: the values before it
};

/// A factor of the host, or one that is read from the device when the product runs.
struct Scale {
  float value = 0;
  const float *device = nullptr;
};

struct Product {
  const char *call = ""; // for messages
  int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transposeA = false, transposeB = false;
  Matrix a, b, c, d;
  Scale alpha, beta;
  Rounding rounding = Rounding::None;
  Epilogue epilogue;
  void *workspace = nullptr; // overwritten, as the library may do
  size_t workspaceBytes = 0;
};

/// Runs the product if all its memory is there, else breaks the context.
void runProduct(const DriverLink &driver, const Product &product);

/// Checks the memory that the product reads and writes, and marks what it writes.
std::optional<std::string> checkMemory(const DriverLink &driver, const Product &product);

} // namespace cudasim
