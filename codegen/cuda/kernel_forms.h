// Kernels with a form of their own, whatever their kind: nothing where a kernel has another.
#pragma once

#include <optional>

#include "codegen/cuda/kernel.h"

namespace gradc {

std::optional<CudaKernelCode> emitCudaTranspose(const CudaKernelContext &k); // transpose.cpp
std::optional<CudaKernelCode> emitCudaScatter(const CudaKernelContext &k);   // scatter.cpp

} // namespace gradc
