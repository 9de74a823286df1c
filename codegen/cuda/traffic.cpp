#include "codegen/cuda/traffic.h"

#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {

void CudaTraffic::touch(OpId kernel, int buffer, const CudaKernelCode &code) {
  const OpData &op = fn_[kernel];
  const auto number = static_cast<size_t>(buffer);
  const size_t values = op.operands.size() + op.results.size();
  if (number >= values)
    bytes_ += static_cast<double>(number == values ? code.workspaceBytes : code.partialBytes);
  else if (number >= op.operands.size())
    bytes_ += static_cast<double>(storageBytes(fn_.type(op.results[number - op.operands.size()])));
  else if (const ValueId value = rootOfViews(fn_, op.operands[number]); read_.insert(value).second)
    bytes_ += static_cast<double>(storageBytes(fn_.type(op.operands[number])));
}

} // namespace gradc
