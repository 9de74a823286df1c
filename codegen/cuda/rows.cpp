#include "codegen/cuda/kernel.h"

namespace gradc {

CudaKernelCode emitCudaRows(const CudaKernelContext &k) { return emitCudaMap(k); }

} // namespace gradc
