// Where 16 lanes stand in a tensor: per dimension one index for each lane, kept affine in the lane number where it
// is, so that loads become vector loads or broadcasts instead of gathers.
#pragma once

#include <vector>

#include "codegen/cpu/emit.h"

namespace gradc {

/// 16 integers: base + step·lane, or, where `lanes` is set, an arbitrary vector of i32 (or i64: Index::wide).
struct LaneValue {
  llvm::Value *base = nullptr; // i64
  int64_t step = 0;
  llvm::Value *lanes = nullptr;
  int64_t multiple = 1; // the base is known to be a multiple of it

  bool affine() const { return lanes == nullptr; }
  bool uniform() const { return lanes == nullptr && step == 0; }
  bool operator==(const LaneValue &) const = default;
};

/// Dimensions `first` .. `first + count - 1` of a tensor, indexed by one number that is row-major in them.
/// Kernels collapse neighbouring dimensions that no op tells apart.
struct LaneIndex {
  struct Group {
    int count = 1;
    LaneValue at;
    bool operator==(const Group &) const = default;
  };
  std::vector<Group> groups;
  /// Lanes that may touch memory (<16 x i1>), or null for all.
  llvm::Value *mask = nullptr;

  bool uniform() const;
  bool operator==(const LaneIndex &) const = default;

  /// One group per dimension.
  static LaneIndex of(std::vector<LaneValue> dims, llvm::Value *mask = nullptr);
};

/// Arithmetic on LaneValues; emits what cannot be folded. Divisions are of non-negative values by constants.
class LaneMath {
public:
  explicit LaneMath(Emit &e) : e(e) {}
  LaneValue uniform(llvm::Value *base, int64_t multiple = 1) { return {base, 0, nullptr, multiple}; }
  LaneValue constant(int64_t value);
  /// base, base + 1, …
  LaneValue consecutive(llvm::Value *base, int64_t multiple = 1) { return {base, 1, nullptr, multiple}; }
  LaneValue vector(llvm::Value *lanes) { return {nullptr, 0, lanes, 1}; }
  LaneValue add(LaneValue a, LaneValue b);
  LaneValue add(LaneValue a, int64_t constant);
  LaneValue mul(LaneValue a, int64_t factor);
  LaneValue div(LaneValue a, int64_t divisor);
  LaneValue mod(LaneValue a, int64_t divisor);
  /// As <16 x i32> (i64 with wide).
  llvm::Value *lanes(LaneValue a);
  /// a < bound (unsigned), a >= bound: i1 where uniform, else <16 x i1>.
  llvm::Value *lessThan(LaneValue a, int64_t bound);
  llvm::Value *equals(LaneValue a, int64_t value);
  /// Tensors of 2^31 elements or more need 64-bit lanes.
  bool wide = false;

  Emit &e;
};

} // namespace gradc
