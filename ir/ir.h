// The IR: modules of straight-line functions over tensors, in SSA form. One IR from the parsed model to the
// planned kernels; docs/ir.md has its text form and meaning.
//
// Values, ops and regions live in arenas of their function and are named by typed 32-bit ids, which are handles
// by value. Side tables are vectors indexed by id. Erasing an op only unlinks it; compact() renumbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/attribute.h"
#include "ir/type.h"
#include "support/diagnostics.h"

namespace gradc {

struct OpDef; // ir/op.h: the op's row

enum class ValueId : uint32_t {};
enum class OpId : uint32_t {};
enum class RegionId : uint32_t {};
inline constexpr ValueId kNoValue{UINT32_MAX};
inline constexpr OpId kNoOp{UINT32_MAX};
inline constexpr uint32_t index(ValueId id) { return static_cast<uint32_t>(id); }
inline constexpr uint32_t index(OpId id) { return static_cast<uint32_t>(id); }
inline constexpr uint32_t index(RegionId id) { return static_cast<uint32_t>(id); }

/// The result of an op, or an argument of a region.
struct ValueData {
  Type type;
  std::string name;    // unique in its region; without '%'
  OpId def = kNoOp;    // the op that defines it, or kNoOp for an argument
  RegionId region{};   // the region that holds the op or the argument
  uint32_t number = 0; // which result or argument it is
  Dict attrs;          // of a function's argument: {var = @w, donated}, {input}, {hyper}
  Location loc;        // of an argument
};

struct OpData {
  const OpDef *def = nullptr;
  std::vector<ValueId> operands;
  std::vector<ValueId> results;
  Dict attrs; // in schema order, defaults left out
  std::vector<RegionId> regions;
  RegionId region{}; // the region that holds it
  Location loc;
};

/// A list of ops between arguments and a terminator: `return` of a function, `yield` of a kernel.
struct RegionData {
  std::vector<ValueId> args;
  std::vector<OpId> ops; // in order
  std::vector<ValueId> yields;
  OpId parent = kNoOp; // the op that owns it; kNoOp for a function's body
  Location yieldLoc;
};

class Function {
public:
  explicit Function(std::string name) : name(std::move(name)) { regions_.emplace_back(); }

  std::string name; // without '@'
  Dict attrs;
  Location loc;
  std::vector<Dict> resultAttrs; // as many as body().yields, or empty

  static constexpr RegionId kBody{0};
  RegionData &body() { return regions_[0]; }
  const RegionData &body() const { return regions_[0]; }

  ValueData &operator[](ValueId id) { return values_[index(id)]; }
  const ValueData &operator[](ValueId id) const { return values_[index(id)]; }
  OpData &operator[](OpId id) { return ops_[index(id)]; }
  const OpData &operator[](OpId id) const { return ops_[index(id)]; }
  RegionData &operator[](RegionId id) { return regions_[index(id)]; }
  const RegionData &operator[](RegionId id) const { return regions_[index(id)]; }
  const Type &type(ValueId id) const { return values_[index(id)].type; }
  /// Where the argument or the op stands that the value is of.
  const Location &location(ValueId id) const {
    const ValueData &value = values_[index(id)];
    return value.def == kNoOp ? value.loc : ops_[index(value.def)].loc;
  }

  /// Sizes of the arenas: one past the largest id, for side tables.
  size_t numValues() const { return values_.size(); }
  size_t numOps() const { return ops_.size(); }
  size_t numRegions() const { return regions_.size(); }

  ValueId addArg(RegionId region, Type type, std::string name, Dict attrs = {}, Location loc = {});
  /// Makes an op with fresh results, not linked into any region yet. Names are made unique in `region`.
  OpId makeOp(RegionId region, const OpDef *def, std::vector<ValueId> operands, Dict attrs,
              std::span<const Type> resultTypes, std::span<const std::string> resultNames, Location loc);
  RegionId addRegion(OpId parent);

  /// Takes the op out of its region's list. Its results must be unused by then (the verifier sees to it).
  void unlink(OpId op);
  /// Replaces every use of `from` (operands and yields, all regions) by `to`.
  void replaceUses(ValueId from, ValueId to);
  /// The number of uses of each value, by id: operands and yields of linked ops.
  std::vector<uint32_t> countUses() const;
  /// Drops unlinked ops and renumbers everything in program order. Invalidates ids.
  void compact();

  /// A name like `base` that no value of the region has: base, else base~1, base~2, …
  std::string uniqueName(RegionId region, std::string_view base) const;
  /// Gives the value a name like `base`.
  void rename(ValueId value, std::string_view base);

private:
  void claim(RegionId region, const std::string &name);
  static std::string nameKey(RegionId region, std::string_view name);

  std::unordered_map<std::string, uint32_t>
      names_; // region and name → the next suffix to try; never iterated
  std::vector<ValueData> values_;
  std::vector<OpData> ops_;
  std::vector<RegionData> regions_;
};

enum class VarKind : uint8_t {
  Param,  // trained
  Buffer, // saved with the weights, never differentiated
  Slot,   // state of the optimiser
};

/// `param @conv1.weight : f32[6,1,5,5] {init = he_normal}`
struct Variable {
  VarKind kind = VarKind::Param;
  std::string name;
  Type type;
  Dict attrs;
  Location loc;
};

/// The variable of an argument or a result, from its `{var = @w}`; null: it is none's.
inline const SymbolRef *variableOf(const Dict &attrs) { return attrs.symbol("var"); }

struct Constant {
  std::string name;
  Dense value;
  Location loc;
};

class Module {
public:
  std::string name; // empty: no module line
  Dict attrs;
  std::vector<Variable> variables;
  std::vector<Constant> constants;
  std::vector<std::unique_ptr<Function>> functions;

  Function *function(std::string_view name) const;
  const Variable *variable(std::string_view name) const;
  Variable *variable(std::string_view name);
  const Constant *constant(std::string_view name) const;
  Function &addFunction(std::string name);
  void removeFunction(std::string_view name);
  Module clone() const;
};

/// Calls f(op) for every linked op of the function in program order, an op before those in its regions.
template <class F> void forEachOp(const Function &fn, RegionId region, F &&f) {
  for (OpId op : fn[region].ops) {
    f(op);
    for (RegionId inner : fn[op].regions)
      forEachOp(fn, inner, f);
  }
}
template <class F> void forEachOp(const Function &fn, F &&f) { forEachOp(fn, Function::kBody, f); }

/// A hash of everything but names of values and locations: two functions with equal hashes do the same.
uint64_t contentHash(const Function &fn);
uint64_t contentHash(const Module &module);

} // namespace gradc
