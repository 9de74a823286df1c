// Matrices for the tests of the cuBLAS stand-ins, and the product in double precision that they are compared with.
#pragma once

#include <cmath>
#include <random>

#include "blas/cublas_api.h"
#include "tests/driver/device.h"

namespace cudasim::test {

#define CUBLAS(name) reinterpret_cast<decltype(&::name)>(::cudasim::test::symbol("libcublas.so.13", #name))
#define CUBLASLT(name)                                                                                       \
  reinterpret_cast<decltype(&::name)>(::cudasim::test::symbol("libcublasLt.so.13", #name))

/// A matrix as it is stored; element (i, j) of batch b stands at b * stride + j * leading + i, or i * leading + j.
struct Stored {
  int64_t rows, columns, leading, batch = 1, stride = 0;
  bool rowMajor = false;
  std::vector<float> values = {};

  Stored &fill(unsigned seed) {
    std::mt19937 random(seed);
    values.resize(size_t(stride * (batch - 1) + leading * (rowMajor ? rows : columns)));
    for (float &value : values)
      value = float(int(random() % 2001) - 1000) / 512; // f16 and bf16 do not hold them exactly
    return *this;
  }
  float &at(int64_t i, int64_t j, int64_t b = 0) {
    return values[size_t(b * stride + (rowMajor ? i * leading + j : j * leading + i))];
  }
};

/// The sum over k of op(a)[i, k] · op(b)[k, j].
inline double dot(Stored &a, bool transposeA, Stored &b, bool transposeB, int64_t i, int64_t j, int64_t depth,
                  int64_t batch = 0) {
  double sum = 0;
  for (int64_t k = 0; k < depth; ++k)
    sum += double(transposeA ? a.at(k, i, batch) : a.at(i, k, batch)) *
           double(transposeB ? b.at(j, k, batch) : b.at(k, j, batch));
  return sum;
}

} // namespace cudasim::test
