#include "passes/kernel_util.h"

#include <algorithm>

#include "ir/contraction.h"
#include "ir/op.h"
#include "ir/order.h"
#include "ir/plan.h"
#include "passes/rewrite_util.h"
#include "support/check.h"

namespace gradc {

std::string_view kernelKind(const Function &fn, std::span<const OpId> ops) {
  auto has = [&](Trait trait) {
    return std::ranges::any_of(ops, [&](OpId op) { return fn[op].def->is(trait); });
  };
  return has(kContraction) ? "contract" : has(kReduction) ? "rows" : "map";
}

namespace {

/// What the ops use and do not define, in order of first use.
std::vector<ValueId> inputsOf(const Function &fn, std::span<const OpId> ops) {
  std::vector<ValueId> defined, inputs;
  for (OpId op : ops) {
    for (ValueId v : fn[op].operands)
      if (std::ranges::find(defined, v) == defined.end() && std::ranges::find(inputs, v) == inputs.end())
        inputs.push_back(v);
    defined.insert(defined.end(), fn[op].results.begin(), fn[op].results.end());
  }
  return inputs;
}

} // namespace

OpId buildKernel(Builder &b, std::span<const OpId> ops, std::span<const ValueId> yields, ValueMap &map) {
  Function &fn = b.function();
  const std::vector<ValueId> inputs = inputsOf(fn, ops);
  std::vector<ValueId> operands;
  for (ValueId v : inputs) {
    CHECK(map[index(v)] != kNoValue, "%{} is used before it is computed", fn[v].name);
    operands.push_back(map[index(v)]);
  }
  std::vector<Type> types;
  std::vector<std::string> names;
  for (ValueId v : yields) {
    types.push_back(fn.type(v));
    names.push_back(fn[v].name);
  }
  OpId kernel =
      fn.makeOp(b.region(), &opDef("kernel"), std::move(operands),
                {{"kind", Keyword{std::string(kernelKind(fn, ops))}}}, types, names, fn[ops.front()].loc);
  RegionId region = fn.addRegion(kernel);
  Builder inner(fn, region);
  ValueMap local(fn.numValues(), kNoValue);
  for (ValueId v : inputs)
    local[index(v)] = fn.addArg(region, fn.type(v), fn[map[index(v)]].name);
  for (OpId op : ops)
    cloneOp(fn, op, inner, local);
  for (ValueId v : yields)
    fn[region].yields.push_back(local[index(v)]);
  b.append(kernel);
  map.resize(fn.numValues(), kNoValue);
  for (size_t i = 0; i < yields.size(); ++i) {
    ValueId result = fn[kernel].results[i];
    map[index(yields[i])] = result;
    takeName(fn, yields[i], result);
  }
  return kernel;
}

OpId joinKernels(Function &fn, OpId first, OpId second, std::string_view kind) {
  std::vector<ValueId> operands, results;
  std::vector<Type> types;
  std::vector<std::string> names;
  for (OpId kernel : {first, second}) {
    for (ValueId v : fn[kernel].operands)
      if (std::ranges::find(operands, v) == operands.end())
        operands.push_back(v);
    for (ValueId v : fn[kernel].results) {
      results.push_back(v);
      types.push_back(fn.type(v));
      names.push_back(fn[v].name);
    }
  }
  const OpId joined = fn.makeOp(Function::kBody, &opDef("kernel"), operands,
                                {{"kind", Keyword{std::string(kind)}}}, types, names, fn[first].loc);
  const RegionId region = fn.addRegion(joined);
  Builder inner(fn, region);
  for (ValueId v : operands)
    fn.addArg(region, fn.type(v), fn[v].name);
  for (OpId kernel : {first, second}) {
    ValueMap map(fn.numValues(), kNoValue);
    const RegionId from = fn[kernel].regions[0];
    for (size_t i = 0; i < fn[from].args.size(); ++i) {
      const auto operand = std::ranges::find(operands, fn[kernel].operands[i]);
      map[index(fn[from].args[i])] = fn[region].args[static_cast<size_t>(operand - operands.begin())];
    }
    for (OpId op : std::vector(fn[from].ops))
      cloneOp(fn, op, inner, map);
    for (ValueId v : std::vector(fn[from].yields))
      fn[region].yields.push_back(map[index(v)]);
  }
  for (size_t i = 0; i < results.size(); ++i) {
    fn.replaceUses(results[i], fn[joined].results[i]);
    takeName(fn, results[i], fn[joined].results[i]);
  }
  return joined;
}

ValueId copyKernel(Function &fn, ValueId v) {
  Builder b(fn);
  const Type type = fn.type(v);
  const std::string name = fn[v].name;
  const Location loc = fn.location(v);
  OpId kernel = fn.makeOp(Function::kBody, &opDef("kernel"), {v}, {{"kind", Keyword{"map"}}},
                          std::span(&type, 1), std::span(&name, 1), loc);
  RegionId region = fn.addRegion(kernel);
  fn[region].yields = {fn.addArg(region, type, name)};
  b.append(kernel);
  return fn[kernel].results[0];
}

bool setSchedules(Function &fn, PassContext &context, const std::function<Dict(OpId kernel)> &scheduleOf) {
  bool changed = false;
  for (OpId op : fn.body().ops) {
    if (fn[op].regions.empty())
      continue;
    const Dict schedule = scheduleOf(op);
    const Attr *before = fn[op].attrs.find("schedule");
    if (schedule.empty() || (before && *before == Attr(schedule)))
      continue;
    Dict attrs = fn[op].attrs;
    attrs.set("schedule", schedule);
    fn[op].attrs = *normalizeAttrs(*fn[op].def, attrs); // in schema order
    ++context.statistics["kernels scheduled"];
    changed = true;
  }
  return changed;
}

bool nameAlgorithms(Module &module, PassContext &context, std::string_view algorithm,
                    const std::string &counted, const std::function<bool(const Function &, OpId)> &applies) {
  bool changed = false;
  for (auto &fn : module.functions)
    for (OpId kernel : fn->body().ops) {
      if ((*fn)[kernel].regions.empty() || (*fn)[kernel].attrs.has("schedule"))
        continue;
      const OpId contraction = findContraction(*fn, (*fn)[kernel].regions[0]);
      if (contraction == kNoOp || !applies(*fn, contraction))
        continue;
      Dict attrs = (*fn)[kernel].attrs;
      attrs.set("schedule", Dict{{"algorithm", Keyword{std::string(algorithm)}}});
      (*fn)[kernel].attrs = *normalizeAttrs(*(*fn)[kernel].def, attrs); // in schema order
      ++context.statistics[counted];
      changed = true;
    }
  return changed;
}

void addOrder(const Function &fn, OpId op, Dict &schedule) {
  if (Dict order = toDict(reductionOrder(fn, op)); !order.empty())
    schedule.set("order", std::move(order));
}

ValueId outsideOf(const Function &fn, OpId kernel, ValueId inner) {
  return fn[inner].def == kNoOp ? fn[kernel].operands[fn[inner].number] : kNoValue;
}

bool multipliesByArgument(const Function &fn, OpId kernel) {
  const ValueId factor = fn[findContraction(fn, fn[kernel].regions[0])].operands[1];
  const ValueId operand = outsideOf(fn, kernel, factor);
  return operand != kNoValue && fn[rootOfViews(fn, operand)].def == kNoOp;
}

} // namespace gradc
