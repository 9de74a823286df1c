#include "codegen/cuda/traffic.h"

#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {

void CudaTraffic::touch(OpId kernel, int buffer, int64_t workspaceBytes) {
  const OpData &op = fn_[kernel];
  const auto number = static_cast<size_t>(buffer);
  if (number >= op.operands.size() + op.results.size())
    bytes_ += static_cast<double>(workspaceBytes);
  else if (number >= op.operands.size())
    bytes_ += static_cast<double>(storageBytes(fn_.type(op.results[number - op.operands.size()])));
  else if (const ValueId value = rootOfViews(fn_, op.operands[number]); read_.insert(value).second)
    bytes_ += static_cast<double>(storageBytes(fn_.type(op.operands[number])));
}

} // namespace gradc
