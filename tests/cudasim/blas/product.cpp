#include "blas/product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "machine/float.h"

namespace cudasim {
namespace {

float load(const void *element, cudaDataType type) {
  if (type == CUDA_R_32F)
    return *static_cast<const float *>(element);
  uint16_t bits = *static_cast<const uint16_t *>(element);
  return type == CUDA_R_16F ? halfToFloat(bits) : bfloatToFloat(bits);
}

void store(void *element, cudaDataType type, float value) {
  if (type == CUDA_R_32F)
    *static_cast<float *>(element) = value;
  else
    *static_cast<uint16_t *>(element) = type == CUDA_R_16F ? toHalf(value) : toBfloat(value);
}

float rounded(float value, Rounding rounding) {
  switch (rounding) {
  case Rounding::None: return value;
  case Rounding::Tf32: return toTf32(value, 0);
  case Rounding::F16: return halfToFloat(toHalf(value));
  case Rounding::Bf16: return bfloatToFloat(toBfloat(value));
  }
  return value;
}

/// op(matrix) of one product, column-major and dense.
std::vector<float> gather(const Matrix &matrix, int64_t batch, bool transpose, Rounding rounding) {
  int64_t rows = transpose ? matrix.columns : matrix.rows, columns = transpose ? matrix.rows : matrix.columns;
  std::vector<float> dense(size_t(rows * columns));
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t row = 0; row < rows; ++row) {
      const void *element = transpose ? matrix.at(batch, column, row) : matrix.at(batch, row, column);
      dense[size_t(column * rows + row)] = rounded(load(element, matrix.type), rounding);
    }
  return dense;
}

// A column of the result is a sum of columns of A: the loop over rows is what the compiler makes vectors of, and each
// element still sums over k in order. Contraction is off, so all of these versions give the same bits.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void
multiply(const float *a, const float *b, float *result, int64_t m, int64_t n, int64_t k) {
  std::fill_n(result, m * n, 0.0F);
  for (int64_t column = 0; column < n; ++column) {
    float *__restrict to = result + column * m;
    for (int64_t depth = 0; depth < k; ++depth) {
      const float *__restrict from = a + depth * m;
      float factor = b[column * k + depth];
      for (int64_t row = 0; row < m; ++row)
        to[row] += from[row] * factor;
    }
  }
}

// The form with tanh, which is the one that cuBLASLt documents.
constexpr float kGeluScale = 0.7978845608F, kGeluCubic = 0.044715F;

float gelu(float x) { return 0.5F * x * (1 + std::tanh(kGeluScale * (x + kGeluCubic * x * x * x))); }

float geluGradient(float x) {
  float t = std::tanh(kGeluScale * (x + kGeluCubic * x * x * x));
  return 0.5F * (1 + t) + 0.5F * x * (1 - t * t) * kGeluScale * (1 + 3 * kGeluCubic * x * x);
}

/// The bit of an element in a mask; `leading` counts bits.
struct Bit {
  uint8_t *byte;
  unsigned shift;
};
Bit bitOf(const Matrix &mask, int64_t batch, int64_t row, int64_t column) {
  int64_t index = batch * mask.batchStride + column * mask.leading + row;
  return {static_cast<uint8_t *>(mask.data) + index / 8, unsigned(index % 8)};
}

float activated(const Epilogue &epilogue, int64_t batch, int64_t row, int64_t column, float value) {
  unsigned kind = epilogue.kind;
  if (kind & kEpilogueReluGradient) {
    Bit bit = bitOf(epilogue.aux, batch, row, column);
    return *bit.byte >> bit.shift & 1 ? value : 0;
  }
  if (kind & kEpilogueGeluGradient)
    return value * geluGradient(load(epilogue.aux.at(batch, row, column), epilogue.aux.type));
  if ((kind & kEpilogueAux) && (kind & kEpilogueGelu))
    store(epilogue.aux.at(batch, row, column), epilogue.aux.type, value);
  if ((kind & kEpilogueAux) && (kind & kEpilogueRelu)) {
    Bit bit = bitOf(epilogue.aux, batch, row, column);
    *bit.byte = uint8_t((*bit.byte & ~(1U << bit.shift)) | unsigned(value > 0) << bit.shift);
  }
  if (kind & kEpilogueRelu)
    return value > 0 || std::isnan(value) ? value : 0;
  return kind & kEpilogueGelu ? gelu(value) : value;
}

/// Sums over the columns of a dense matrix, or over its rows, become the bias gradient.
void storeBiasGradient(const Matrix &bias, int64_t batch, const std::vector<float> &dense, int64_t rows,
                       bool alongRows) {
  int64_t columns = rows == 0 ? 0 : int64_t(dense.size()) / rows;
  std::vector<float> sums(size_t(alongRows ? columns : rows));
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t row = 0; row < rows; ++row)
      sums[size_t(alongRows ? column : row)] += dense[size_t(column * rows + row)];
  for (size_t index = 0; index < sums.size(); ++index)
    store(bias.at(batch, int64_t(index), 0), bias.type, sums[index]);
}

void runOne(const Product &p, int64_t batch, float alpha, float beta) {
  std::vector<float> a = gather(p.a, batch, p.transposeA, p.rounding),
                     b = gather(p.b, batch, p.transposeB, p.rounding);
  std::vector<float> result(size_t(p.m * p.n));
  multiply(a.data(), b.data(), result.data(), p.m, p.n, p.k);
  const Epilogue &epilogue = p.epilogue;
  for (int64_t column = 0; column < p.n; ++column)
    for (int64_t row = 0; row < p.m; ++row) {
      float value = alpha * result[size_t(column * p.m + row)];
      if (beta != 0) // else C is not read, and may hold NaNs
        value += beta * load(p.c.at(batch, row, column), p.c.type);
      if (epilogue.kind & kEpilogueBias)
        value += load(epilogue.bias.at(batch, row, 0), epilogue.bias.type);
      value = activated(epilogue, batch, row, column, value);
      result[size_t(column * p.m + row)] = value;
      store(p.d.at(batch, row, column), p.d.type, value);
    }
  if (epilogue.kind & kEpilogueBiasGradient)
    storeBiasGradient(epilogue.bias, batch, result, p.m, false);
  if (epilogue.kind & kEpilogueBiasGradientA)
    storeBiasGradient(epilogue.bias, batch, a, p.m, false);
  if (epilogue.kind & kEpilogueBiasGradientB)
    storeBiasGradient(epilogue.bias, batch, b, p.k, true);
}

float valueOf(const Scale &scale) { return scale.device ? *scale.device : scale.value; }

} // namespace

size_t bytesOf(cudaDataType type) {
  return type == CUDA_R_32F ? 4 : type == CUDA_R_16F || type == CUDA_R_16BF ? 2 : 0;
}

void *Matrix::at(int64_t batch, int64_t row, int64_t column) const {
  int64_t index = batch * batchStride + (rowMajor ? row * leading + column : column * leading + row);
  return static_cast<uint8_t *>(data) + index * int64_t(bytesOf(type));
}

void runProduct(const DriverLink &driver, const Product &product) {
  if (auto wrong = checkMemory(driver, product)) {
    driver.fault(fmt::format("{}: {}", product.call, *wrong).c_str());
    return;
  }
  if (product.workspaceBytes != 0)
    std::memset(product.workspace, 0xFF, product.workspaceBytes);
  for (int64_t batch = 0; batch < product.batch; ++batch)
    runOne(product, batch, valueOf(product.alpha), valueOf(product.beta));
  driver.log(
      "cublas",
      fmt::format(R"("call": "{}", "m": {}, "n": {}, "k": {}, "batch": {}, "epilogue": {}, "workspace": {})",
                  product.call, product.m, product.n, product.k, product.batch, product.epilogue.kind,
                  product.workspaceBytes)
          .c_str());
}

} // namespace cudasim
