#include "codegen/cpu/transpose.h"

namespace gradc {

/// Exchanges the off-diagonal blocks of size 1, 2, 4 and 8: two shuffles for each pair of rows.
void transpose16(Emit &e, Values &rows) {
  for (int size = 1; size < kVectorLanes; size *= 2) {
    std::vector<int> upper, lower;
    for (int lane = 0; lane < kVectorLanes; ++lane) {
      bool right = (lane & size) != 0;
      upper.push_back(right ? kVectorLanes + lane - size : lane);
      lower.push_back(right ? kVectorLanes + lane : lane + size);
    }
    for (int i = 0; i < kVectorLanes; ++i)
      if ((i & size) == 0) {
        llvm::Value *a = rows[i], *c = rows[i + size];
        rows[i] = e.b.CreateShuffleVector(a, c, upper);
        rows[i + size] = e.b.CreateShuffleVector(a, c, lower);
      }
  }
}

} // namespace gradc
