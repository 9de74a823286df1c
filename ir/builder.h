// Builds ops at the end of a region. Short forms exist for the ops that gradients and expansions use most;
// every other op goes through create().
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/ir.h"

namespace gradc {

class Builder {
public:
  explicit Builder(Function &fn, RegionId region = Function::kBody) : fn_(fn), region_(region) {}

  Function &function() { return fn_; }
  RegionId region() const { return region_; }
  /// By value: building moves the arenas.
  Type type(ValueId v) const { return fn_[v].type; }

  /// Location and base name of what is built next. A name that is taken gets a suffix ~1, ~2, …
  Builder &at(Location loc) {
    loc_ = std::move(loc);
    return *this;
  }
  Builder &named(std::string_view name) {
    name_ = name;
    return *this;
  }
  const std::string &name() const { return name_; }
  const Location &loc() const { return loc_; }

  /// Builds an op; types come from inferTypes and a failing rule is a bug of the caller (CHECK). Attributes are
  /// normalized. User input goes through inferTypes first.
  OpId createOp(std::string_view op, std::vector<ValueId> operands, Dict attrs = {});
  ValueId create(std::string_view op, std::vector<ValueId> operands, Dict attrs = {}) {
    return fn_[createOp(op, std::move(operands), std::move(attrs))].results[0];
  }
  /// Links a made op at the end of the region.
  void append(OpId op) { fn_[region_].ops.push_back(op); }

  ValueId constant(Tensor value);
  /// A constant of one value, broadcast to a type.
  // Types and shapes come by value: building grows the arenas that a reference could point into.
  ValueId splat(Type type, double value);
  ValueId zeros(Type type) { return splat(std::move(type), 0); }

  ValueId add(ValueId a, ValueId b) { return create("add", {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return create("sub", {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return create("mul", {a, b}); }
  ValueId div(ValueId a, ValueId b) { return create("div", {a, b}); }
  ValueId neg(ValueId a) { return create("neg", {a}); }
  ValueId scale(ValueId a, double factor) { return mul(a, splat(type(a), factor)); }
  ValueId select(ValueId condition, ValueId a, ValueId b) { return create("select", {condition, a, b}); }

  /// Operand dimension i becomes dimension axes[i] of `shape`; the other dimensions repeat it.
  ValueId broadcast(ValueId a, Shape shape, std::vector<int64_t> axes);
  /// Numpy's rule: aligns trailing dimensions, repeats dimensions of size 1. The shapes must be compatible.
  ValueId broadcastTo(ValueId a, Shape shape);
  /// The adjoint of broadcastTo: sums over repeated dimensions so that the result has `shape`.
  ValueId sumTo(ValueId a, Shape shape);
  ValueId reshape(ValueId a, Shape shape);
  ValueId transpose(ValueId a, std::vector<int64_t> permutation);
  ValueId reduceSum(ValueId a, std::vector<int64_t> axes, bool keepDims = false);
  ValueId cast(ValueId a, DType dtype);
  ValueId matmul(ValueId a, ValueId b, bool transposeA, bool transposeB);

private:
  Function &fn_;
  RegionId region_;
  Location loc_;
  std::string name_ = "t";
};

/// Clones ops from one function into another (or the same) with operands mapped through `map`
/// (indexed by value id of the source; results are entered). Regions are cloned too.
using ValueMap = std::vector<ValueId>;
OpId cloneOp(const Function &source, OpId op, Builder &into, ValueMap &map);

} // namespace gradc
