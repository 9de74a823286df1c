#include "codegen/cpu/lane_index.h"

#include <algorithm>
#include <numeric>

#include "support/check.h"

namespace gradc {
namespace {

llvm::Type *laneType(Emit &e, bool wide) { return wide ? e.b.getInt64Ty() : e.b.getInt32Ty(); }

llvm::Constant *laneConstant(Emit &e, bool wide, int64_t value) {
  auto *type = llvm::FixedVectorType::get(laneType(e, wide), kVectorLanes);
  return llvm::ConstantInt::get(type, static_cast<uint64_t>(value), true);
}

llvm::Constant *laneSteps(Emit &e, bool wide, int64_t step) {
  std::vector<llvm::Constant *> lanes;
  for (int64_t lane = 0; lane < kVectorLanes; ++lane)
    lanes.push_back(llvm::ConstantInt::get(laneType(e, wide), static_cast<uint64_t>(step * lane), true));
  return llvm::ConstantVector::get(lanes);
}

/// Sixteen consecutive numbers that start at a multiple of 16 stay within one block of `divisor`.
bool withinBlock(const LaneValue &a, int64_t divisor) {
  return a.affine() && a.step == 1 && divisor % kVectorLanes == 0 && a.multiple % kVectorLanes == 0;
}

} // namespace

bool LaneIndex::uniform() const {
  return std::ranges::all_of(groups, [](const Group &group) { return group.at.uniform(); });
}

LaneIndex LaneIndex::of(std::vector<LaneValue> dims, llvm::Value *mask) {
  LaneIndex index;
  for (LaneValue &dim : dims)
    index.groups.push_back({1, dim});
  index.mask = mask;
  return index;
}

LaneValue LaneMath::constant(int64_t value) {
  return {e.i64(value), 0, nullptr, value == 0 ? int64_t{1} << 40 : value};
}

LaneValue LaneMath::add(LaneValue a, LaneValue c) {
  if (a.affine() && c.affine())
    return {e.add(a.base, c.base), a.step + c.step, nullptr, std::gcd(a.multiple, c.multiple)};
  return vector(e.b.CreateAdd(lanes(a), lanes(c)));
}

LaneValue LaneMath::add(LaneValue a, int64_t value) { return value == 0 ? a : add(a, constant(value)); }

LaneValue LaneMath::mul(LaneValue a, int64_t factor) {
  if (a.affine())
    return {e.mul(a.base, factor), a.step * factor, nullptr,
            factor == 0 ? int64_t{1} << 40 : a.multiple * factor};
  return vector(e.mul(a.lanes, factor));
}

LaneValue LaneMath::div(LaneValue a, int64_t divisor) {
  if (divisor == 1)
    return a;
  if (a.uniform() || withinBlock(a, divisor))
    return {e.div(a.base, divisor), 0, nullptr, a.multiple % divisor == 0 ? a.multiple / divisor : 1};
  return vector(e.div(lanes(a), divisor));
}

LaneValue LaneMath::mod(LaneValue a, int64_t divisor) {
  if (divisor == 1)
    return constant(0);
  if (a.uniform() || withinBlock(a, divisor))
    return {a.multiple % divisor == 0 ? e.i64(0) : e.mod(a.base, divisor), a.step, nullptr,
            std::gcd(a.multiple, divisor)};
  return vector(e.mod(lanes(a), divisor));
}

llvm::Value *LaneMath::lanes(LaneValue a) {
  if (!a.affine())
    return a.lanes;
  llvm::Value *base = wide ? a.base : e.b.CreateTrunc(a.base, e.b.getInt32Ty());
  llvm::Value *splat = e.splat(base);
  return a.step == 0 ? splat : e.b.CreateAdd(splat, laneSteps(e, wide, a.step));
}

llvm::Value *LaneMath::lessThan(LaneValue a, int64_t bound) {
  if (a.uniform())
    return e.b.CreateICmpULT(a.base, e.i64(bound));
  return e.b.CreateICmpULT(lanes(a), laneConstant(e, wide, bound));
}

llvm::Value *LaneMath::equals(LaneValue a, int64_t value) {
  if (a.uniform())
    return e.b.CreateICmpEQ(a.base, e.i64(value));
  return e.b.CreateICmpEQ(lanes(a), laneConstant(e, wide, value));
}

} // namespace gradc
