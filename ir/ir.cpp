#include "ir/ir.h"

#include <algorithm>

#include "ir/op.h"
#include "support/check.h"

namespace gradc {

ValueId Function::addArg(RegionId region, Type type, std::string argName, Dict argAttrs, Location argLoc) {
  ValueId id{static_cast<uint32_t>(values_.size())};
  ValueData data;
  data.type = std::move(type);
  data.name = uniqueName(region, argName);
  data.region = region;
  data.number = static_cast<uint32_t>(regions_[index(region)].args.size());
  data.attrs = std::move(argAttrs);
  data.loc = std::move(argLoc);
  claim(region, data.name);
  values_.push_back(std::move(data));
  regions_[index(region)].args.push_back(id);
  return id;
}

OpId Function::makeOp(RegionId region, const OpDef *def, std::vector<ValueId> operands, Dict opAttrs,
                      std::span<const Type> resultTypes, std::span<const std::string> resultNames,
                      Location opLoc) {
  OpId op{static_cast<uint32_t>(ops_.size())};
  OpData data;
  data.def = def;
  data.operands = std::move(operands);
  data.attrs = std::move(opAttrs);
  data.region = region;
  data.loc = std::move(opLoc);
  for (size_t i = 0; i < resultTypes.size(); ++i) {
    ValueId id{static_cast<uint32_t>(values_.size())};
    ValueData value;
    value.type = resultTypes[i];
    value.name = uniqueName(region, i < resultNames.size() ? std::string_view(resultNames[i]) : "t");
    value.def = op;
    value.region = region;
    value.number = static_cast<uint32_t>(i);
    claim(region, value.name);
    values_.push_back(std::move(value));
    data.results.push_back(id);
  }
  ops_.push_back(std::move(data));
  return op;
}

RegionId Function::addRegion(OpId parent) {
  RegionId id{static_cast<uint32_t>(regions_.size())};
  regions_.emplace_back().parent = parent;
  if (parent != kNoOp)
    ops_[index(parent)].regions.push_back(id);
  return id;
}

void Function::unlink(OpId op) { std::erase(regions_[index(ops_[index(op)].region)].ops, op); }

void Function::replaceUses(ValueId from, ValueId to) {
  for (OpData &op : ops_)
    std::replace(op.operands.begin(), op.operands.end(), from, to);
  for (RegionData &region : regions_)
    std::replace(region.yields.begin(), region.yields.end(), from, to);
}

std::vector<uint32_t> Function::countUses() const {
  std::vector<uint32_t> uses(values_.size());
  auto countYields = [&](RegionId region) {
    for (ValueId v : regions_[index(region)].yields)
      ++uses[index(v)];
  };
  countYields(kBody);
  forEachOp(*this, [&](OpId op) {
    for (ValueId v : ops_[index(op)].operands)
      ++uses[index(v)];
    for (RegionId region : ops_[index(op)].regions)
      countYields(region);
  });
  return uses;
}

namespace {

/// Moves what is reachable from the body into fresh arenas, in program order.
class Compactor {
public:
  Compactor(std::vector<ValueData> &values, std::vector<OpData> &ops, std::vector<RegionData> &regions)
      : oldValues_(values), oldOps_(ops), oldRegions_(regions), valueMap_(values.size(), kNoValue) {}

  std::vector<ValueData> values;
  std::vector<OpData> ops;
  std::vector<RegionData> regions;

  RegionId moveRegion(RegionId old, OpId parent) {
    RegionId id{static_cast<uint32_t>(regions.size())};
    regions.emplace_back();
    regions.back().parent = parent;
    regions.back().yieldLoc = oldRegions_[index(old)].yieldLoc;
    std::vector<ValueId> args;
    for (ValueId arg : oldRegions_[index(old)].args)
      args.push_back(moveValue(arg, id, kNoOp));
    regions[index(id)].args = std::move(args);
    for (OpId op : oldRegions_[index(old)].ops)
      moveOp(op, id);
    for (ValueId v : oldRegions_[index(old)].yields)
      regions[index(id)].yields.push_back(mapped(v));
    return id;
  }

private:
  ValueId mapped(ValueId v) const {
    CHECK(valueMap_[index(v)] != kNoValue, "use of %{} whose definition is gone", oldValues_[index(v)].name);
    return valueMap_[index(v)];
  }

  ValueId moveValue(ValueId old, RegionId region, OpId def) {
    ValueId id{static_cast<uint32_t>(values.size())};
    values.push_back(std::move(oldValues_[index(old)]));
    values.back().region = region;
    values.back().def = def;
    valueMap_[index(old)] = id;
    oldValues_[index(old)].name = values.back().name; // kept for mapped()'s message
    return id;
  }

  void moveOp(OpId old, RegionId region) {
    OpId id{static_cast<uint32_t>(ops.size())};
    OpData data = std::move(oldOps_[index(old)]);
    std::vector<RegionId> oldRegions = std::move(data.regions);
    data.regions.clear();
    data.region = region;
    for (ValueId &v : data.operands)
      v = mapped(v);
    for (ValueId &v : data.results)
      v = moveValue(v, region, id);
    ops.push_back(std::move(data));
    regions[index(region)].ops.push_back(id);
    for (RegionId inner : oldRegions) {
      RegionId moved = moveRegion(inner, id);
      ops[index(id)].regions.push_back(moved);
    }
  }

  std::vector<ValueData> &oldValues_;
  std::vector<OpData> &oldOps_;
  std::vector<RegionData> &oldRegions_;
  std::vector<ValueId> valueMap_;
};

} // namespace

void Function::compact() {
  Compactor compactor(values_, ops_, regions_);
  compactor.moveRegion(kBody, kNoOp);
  values_ = std::move(compactor.values);
  ops_ = std::move(compactor.ops);
  regions_ = std::move(compactor.regions);
  names_.clear();
  for (const ValueData &value : values_)
    claim(value.region, value.name);
}

std::string Function::nameKey(RegionId region, std::string_view name) {
  return fmt::format("{} {}", index(region), name);
}

void Function::claim(RegionId region, const std::string &claimed) {
  names_.try_emplace(nameKey(region, claimed), 1);
}

std::string Function::uniqueName(RegionId region, std::string_view base) const {
  if (!names_.contains(nameKey(region, base)))
    return std::string(base);
  std::string_view stem = base.substr(0, base.rfind('~')); // a name that has a suffix gets the next one
  auto hint = names_.find(nameKey(region, stem));
  for (uint32_t k = hint == names_.end() ? 1 : hint->second;; ++k)
    if (std::string name = fmt::format("{}~{}", stem, k); !names_.contains(nameKey(region, name)))
      return name;
}

void Function::rename(ValueId value, std::string_view base) {
  ValueData &data = values_[index(value)];
  names_.erase(nameKey(data.region, data.name));
  data.name = uniqueName(data.region, base);
  claim(data.region, data.name);
}

Function *Module::function(std::string_view wanted) const {
  for (const auto &fn : functions)
    if (fn->name == wanted)
      return fn.get();
  return nullptr;
}

const Variable *Module::variable(std::string_view wanted) const {
  return const_cast<Module *>(this)->variable(wanted);
}

Variable *Module::variable(std::string_view wanted) {
  for (Variable &variable : variables)
    if (variable.name == wanted)
      return &variable;
  return nullptr;
}

const Constant *Module::constant(std::string_view wanted) const {
  for (const Constant &constant : constants)
    if (constant.name == wanted)
      return &constant;
  return nullptr;
}

Function &Module::addFunction(std::string fnName) {
  CHECK(!function(fnName), "two functions @{}", fnName);
  functions.push_back(std::make_unique<Function>(std::move(fnName)));
  return *functions.back();
}

void Module::removeFunction(std::string_view wanted) {
  std::erase_if(functions, [&](const auto &fn) { return fn->name == wanted; });
}

Module Module::clone() const {
  Module copy;
  copy.name = name;
  copy.attrs = attrs;
  copy.variables = variables;
  copy.constants = constants;
  for (const auto &fn : functions)
    copy.functions.push_back(std::make_unique<Function>(*fn));
  return copy;
}

} // namespace gradc
