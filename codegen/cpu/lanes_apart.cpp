#include "codegen/cpu/lanes_apart.h"

namespace gradc {

llvm::Value *emitLanesApart(Emit &e, llvm::FixedVectorType *type, int64_t step, int lanes,
                            const std::function<llvm::Value *(int64_t first)> &load) {
  llvm::Value *result = llvm::Constant::getNullValue(type);
  for (int64_t first = 0; first < (lanes - 1) * step + 1; first += kVectorLanes) {
    std::vector<int> order; // of each lane: what it is, or one of the neighbours
    for (int lane = 0; lane < kVectorLanes; ++lane) {
      const int64_t at = lane * step - first;
      const bool isHere = lane < lanes && at >= 0 && at < kVectorLanes;
      order.push_back(isHere ? kVectorLanes + static_cast<int>(at) : lane);
    }
    result = e.b.CreateShuffleVector(result, load(first), order);
  }
  return result;
}

} // namespace gradc
