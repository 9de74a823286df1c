// Matrix products by cuBLAS and, with an epilogue, cuBLASLt. The libraries are loaded when the first program that has
// a product is; each product's algorithm is chosen once, so that all its runs have the same bits.
#pragma once

#include <memory>
#include <span>

#include "runtime/cuda/abi.h"
#include "runtime/cuda/context.h"

namespace gradc::cuda {

class Blas {
public:
  virtual ~Blas() = default;
  /// The file that would be loaded; the error says what is missing.
  static StatusOr<std::string> locate();
  /// Exit code 6 where cuBLAS is not there.
  static StatusOr<std::unique_ptr<Blas>> make(const Context &context);

  /// A product whose algorithm is known; `run` puts it into a stream, also while that is captured.
  class Product {
  public:
    virtual ~Product() = default;
    /// Addresses of a, b, c and, where the epilogue has one, the bias.
    virtual Status run(std::span<const Address> addresses, StreamHandle stream) = 0;
  };
  virtual StatusOr<std::unique_ptr<Product>> prepare(const gradc_cuda_product &product) = 0;
};

} // namespace gradc::cuda
