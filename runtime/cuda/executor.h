// Runs a CUDA program: loads its code, resolves every buffer reference once, and puts the steps into a stream, one
// launch or product each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/cuda/abi.h"
#include "runtime/cuda/blas.h"
#include "runtime/cuda/context.h"

namespace gradc::cuda {

class Executor {
public:
  /// Loads the code. `blas` may be null where the program has no product. All must outlive the executor.
  static StatusOr<std::unique_ptr<Executor>> make(const Context &context, Blas *blas,
                                                  const gradc_cuda_program &program);

  const gradc_program &program() const { return program_.table; }

  void bindArena(Address address) { arena_ = address; }
  void bindVar(int64_t index, Address address) { vars_[static_cast<size_t>(index)] = address; }
  void bindArg(int64_t index, Address address) { args_[static_cast<size_t>(index)] = address; }
  void bindResult(int64_t index, Address address) { results_[static_cast<size_t>(index)] = address; }

  /// Puts step i, or all steps, into the stream. Every port that a step refers to must be bound.
  Status enqueue(int64_t step, StreamHandle stream);
  Status enqueueAll(StreamHandle stream);

private:
  Executor(const Context &context, const gradc_cuda_program &program);
  Status load(Blas *blas);
  Status loadImages();
  Status loadImage(int part);
  Status prepareStep(int64_t step, Blas *blas);
  Address resolve(const gradc_ref &ref) const;

  const Context &context_;
  const gradc_cuda_program &program_;
  Address arena_ = 0;
  std::vector<Address> vars_, args_, results_;
  std::vector<LoadedModule> modules_;                    // of each part
  std::vector<FunctionHandle> functions_;                // by step; null: a product
  std::vector<std::unique_ptr<Blas::Product>> products_; // by step; null: a kernel
};

/// The program that a table is the first member of: for tables of CUDA programs only.
inline const gradc_cuda_program &programOf(const gradc_program &table) {
  return reinterpret_cast<const gradc_cuda_program &>(table);
}

/// Whether a step of the program is a product.
bool hasProducts(const gradc_cuda_program &program);

} // namespace gradc::cuda
