#include "ir/plan.h"

#include <algorithm>

#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/window_walk.h"
#include "support/check.h"

namespace gradc {

std::string toString(const Place &place) {
  switch (place.space) {
  case Place::Space::Arena: return fmt::format("arena:{}", place.number);
  case Place::Space::Var: return fmt::format("var:@{}", place.var);
  case Place::Space::Arg: return fmt::format("arg:{}", place.number);
  case Place::Space::Result: return fmt::format("result:{}", place.number);
  }
  return {};
}

Attr toAttr(const Place &place) {
  Dict dict;
  switch (place.space) {
  case Place::Space::Arena: dict.set("arena", place.number); break;
  case Place::Space::Var: dict.set("var", SymbolRef{place.var}); break;
  case Place::Space::Arg: dict.set("arg", place.number); break;
  case Place::Space::Result: dict.set("result", place.number); break;
  }
  return dict;
}

std::optional<Place> parsePlace(const Attr &attr) {
  const Dict *dict = attr.as<Dict>();
  if (!dict || std::distance(dict->begin(), dict->end()) != 1)
    return std::nullopt;
  const auto &[name, value] = *dict->begin();
  if (name == "var") {
    const SymbolRef *symbol = value.as<SymbolRef>();
    return symbol ? std::optional(Place{Place::Space::Var, 0, symbol->name}) : std::nullopt;
  }
  const int64_t *number = value.as<int64_t>();
  if (!number || *number < 0)
    return std::nullopt;
  if (name == "arena")
    return Place{Place::Space::Arena, *number, {}};
  if (name == "arg")
    return Place{Place::Space::Arg, *number, {}};
  if (name == "result")
    return Place{Place::Space::Result, *number, {}};
  return std::nullopt;
}

bool isPlanned(const Function &fn) { return fn.attrs.has(kArenaAttr); }

int64_t launchOf(const Function &fn, OpId kernel) {
  const Attr *launch = fn[kernel].attrs.find(kLaunchAttr);
  const int64_t *number = launch ? launch->as<int64_t>() : nullptr;
  return number ? *number : -1;
}

std::vector<int64_t> momentsOf(const Function &fn) {
  std::vector<int64_t> moments;
  int64_t launch = -1;
  for (OpId op : fn.body().ops) {
    const bool joins = !moments.empty() && launch >= 0 && launchOf(fn, op) == launch;
    moments.push_back(moments.empty() ? 0 : moments.back() + (joins ? 0 : 1));
    launch = launchOf(fn, op);
  }
  return moments;
}

Place argumentPlace(const Function &fn, int argument) {
  if (const SymbolRef *variable = variableOf(fn[fn.body().args[argument]].attrs))
    return {Place::Space::Var, 0, variable->name};
  return {Place::Space::Arg, argument, {}};
}

Place resultPlace(const Function &fn, size_t result) {
  if (!fn.resultAttrs.empty())
    if (const SymbolRef *variable = variableOf(fn.resultAttrs[result]))
      return {Place::Space::Var, 0, variable->name};
  return {Place::Space::Result, static_cast<int64_t>(result), {}};
}

std::vector<std::optional<Place>> placesOfValues(const Function &fn) {
  std::vector<std::optional<Place>> places(fn.numValues());
  for (size_t i = 0; i < fn.body().args.size(); ++i)
    places[index(fn.body().args[i])] = argumentPlace(fn, static_cast<int>(i));
  for (OpId op : fn.body().ops) {
    const Attr *attr = fn[op].attrs.find(kPlaceAttr);
    const AttrList *list = attr ? attr->as<AttrList>() : nullptr;
    if (!list || list->size() != fn[op].results.size())
      continue;
    for (size_t i = 0; i < list->size(); ++i)
      places[index(fn[op].results[i])] = parsePlace((*list)[i]);
  }
  return places;
}

namespace {

/// The region argument that a view's yield shows, or kNoValue.
ValueId viewed(const Function &fn, ValueId v) {
  while (fn[v].def != kNoOp) {
    const OpData &op = fn[fn[v].def];
    if (op.def->name != "reshape" || !sameStorage(fn.type(op.operands[0]), fn.type(v)))
      return kNoValue;
    v = op.operands[0];
  }
  return v;
}

} // namespace

bool isView(const Function &fn, OpId kernel) {
  const OpData &op = fn[kernel];
  if (op.regions.empty())
    return false;
  const std::vector<ValueId> &yields = fn[op.regions[0]].yields;
  return !yields.empty() && std::ranges::all_of(yields, [&](ValueId v) { return viewed(fn, v) != kNoValue; });
}

ValueId rootOfViews(const Function &fn, ValueId v) {
  while (fn[v].def != kNoOp && isView(fn, fn[v].def) && fn[fn[v].def].operands.size() == 1)
    v = fn[fn[v].def].operands[0];
  return v;
}

bool takesNoStep(const Function &fn, OpId kernel) {
  if (!isView(fn, kernel))
    return false;
  std::vector<std::optional<Place>> places = placesOfValues(fn);
  const OpData &op = fn[kernel];
  for (size_t i = 0; i < op.results.size(); ++i) {
    ValueId arg = viewed(fn, fn[op.regions[0]].yields[i]);
    const auto &from = places[index(op.operands[fn[arg].number])], &to = places[index(op.results[i])];
    if (!from || !to || !(*from == *to))
      return false;
  }
  return true;
}

bool elementwiseSafe(const Function &fn, OpId kernel, int operand, int result) {
  const OpData &op = fn[kernel];
  const RegionData &region = fn[op.regions[0]];
  const Type &from = fn.type(op.operands[operand]), &to = fn.type(op.results[result]);
  if (!(from.shape == to.shape) || from.layout != to.layout || dtypeSize(from.dtype) != dtypeSize(to.dtype))
    return false;
  // A reduction makes several passes over its operands; only what has the result's shape follows its end.
  Shape iterated = to.shape;
  for (OpId inner : region.ops)
    if (fn[inner].def->is(kReduction) && fn.type(fn[inner].operands[0]).shape == iterated)
      return false;
  // The operand and all that is made of it may pass through elementwise ops only, at this one shape.
  // Within a window, a walk window by window reads all before it writes: its gradient counts as elementwise in x.
  const std::optional<WindowWalk> walk = windowWalk(fn, op.regions[0], to);
  std::vector<bool> derived(fn.numValues());
  derived[index(region.args[operand])] = true;
  // A pair has read all it needs of a weight when it writes the new one, and stores its input's gradient at the end.
  OpId toInput = kNoOp;
  if (op.attrs.str("kind") == "pair")
    if (const std::optional<GradientPair> pair = findGradientPair(fn, op.regions[0]))
      toInput = pair->input;
  const std::vector<bool> late = descendants(fn, op.regions[0], toInput);
  if (late[index(region.yields[result])])
    return false;
  for (OpId inner : region.ops) {
    if (inner == toInput && fn[inner].operands[0] != region.args[operand])
      continue;
    bool reads = std::ranges::any_of(fn[inner].operands, [&](ValueId v) { return derived[index(v)]; });
    if (!reads)
      continue;
    if (!fn[inner].def->is(kElementwise) && !(walk && walk->mayOverwrite && inner == walk->op))
      return false;
    for (ValueId v : fn[inner].results) {
      if (late[index(v)])
        return false;
      derived[index(v)] = true;
    }
  }
  // Results of another shape have loops of their own.
  for (ValueId v : region.yields)
    if (derived[index(v)] && !(fn.type(v).shape == to.shape))
      return false;
  return true;
}

} // namespace gradc
