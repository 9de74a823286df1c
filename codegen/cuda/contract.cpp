#include "codegen/cuda/kernel.h"

namespace gradc {

CudaKernelCode emitCudaContract(const CudaKernelContext &k) { return emitCudaMap(k); }

} // namespace gradc
