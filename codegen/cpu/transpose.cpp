#include "codegen/cpu/transpose.h"

#include <algorithm>

#include "llvm/IR/Intrinsics.h"

namespace gradc {
namespace {

/// Replaces rows that lie `distance` apart by two shuffles of both: lane l of the first takes lane from(l, 0) of the
/// one behind the other, lane l of the second from(l, 1).
template <typename From> void exchange(Emit &e, Values &rows, int distance, From from) {
  std::vector<int> first, second;
  for (int lane = 0; lane < kVectorLanes; ++lane) {
    first.push_back(from(lane, 0));
    second.push_back(from(lane, 1));
  }
  for (int i = 0; i < kVectorLanes; ++i)
    if ((i & distance) == 0) {
      llvm::Value *a = rows[i], *b = rows[i + distance];
      rows[i] = e.b.CreateShuffleVector(a, b, first);
      rows[i + distance] = e.b.CreateShuffleVector(a, b, second);
    }
}

/// Lets nobody look through the rows. A shuffle of a register is one instruction already, and to combine it with all that
/// it is made of took LLVM a sixth of its time.
void fence(Emit &e, Values &rows) {
  for (llvm::Value *&row : rows) {
    if (llvm::isa<llvm::Constant>(row)) // a row that does not exist
      continue;
    llvm::Type *type = row->getType(); // of any element; a fence takes floats
    const auto words = static_cast<unsigned>(type->getPrimitiveSizeInBits().getFixedValue() / 32);
    llvm::Type *floats = llvm::FixedVectorType::get(e.b.getFloatTy(), words);
    row = e.b.CreateBitCast(row, floats);
    row = e.b.CreateIntrinsic(llvm::Intrinsic::arithmetic_fence, {floats}, {row});
    row = e.b.CreateBitCast(row, type);
  }
}

} // namespace

void transpose16(Emit &e, Values &rows) {
  // 128 bits hold a few columns of as many rows, and unpck[lh] transposes them: the rows are interleaved, first those
  // that are half of it apart.
  const int inner = std::min(kVectorLanes, static_cast<int>(128 / rows[0]->getType()->getScalarSizeInBits()));
  for (int distance = inner / 2; distance >= 1; distance /= 2)
    exchange(e, rows, distance, [&](int lane, int half) {
      const int at = lane % inner;
      return lane - at + half * inner / 2 + at / 2 + at % 2 * kVectorLanes;
    });
  // Then the blocks of 128 bits, 256 and so on that lie off the diagonal.
  for (int size = inner; size < kVectorLanes; size *= 2) {
    fence(e, rows);
    exchange(e, rows, size, [&](int lane, int lower) {
      const bool right = (lane & size) != 0;
      return (lower ? lane | size : lane & ~size) + (right ? kVectorLanes : 0);
    });
  }
}

} // namespace gradc
