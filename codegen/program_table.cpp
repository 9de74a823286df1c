#include "codegen/program_table.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// What a result is called: its annotation, else its value.
std::string resultName(const Function &fn, size_t number) {
  ValueId value = fn.body().yields[number];
  if (number < fn.resultAttrs.size()) {
    const Dict &attrs = fn.resultAttrs[number];
    for (std::string_view key : {"metric", "output"})
      if (const Attr *name = attrs.find(key); name && name->as<std::string>())
        return *name->as<std::string>();
    for (std::string_view key : {"loss", "count"})
      if (attrs.has(key))
        return std::string(key);
    if (const SymbolRef *variable = variableOf(attrs))
      return variable->name;
  }
  return fn[value].name;
}

} // namespace

ProgramTable::ProgramTable(const Module &module, const Function &fn) : fn_(fn), places_(placesOfValues(fn)) {
  program_.name = keep(fn.name);
  const RegionData &body = fn.body();
  for (size_t i = 0; i < body.args.size(); ++i) {
    const ValueData &arg = fn[body.args[i]];
    const Place place = argumentPlace(fn, static_cast<int>(i));
    argIndex_.push_back(-1);
    if (place.space == Place::Space::Var) {
      addVar(place.var, arg.type);
    } else {
      argIndex_.back() = static_cast<int32_t>(args_.size());
      args_.push_back(port(arg.name, arg.type));
    }
  }
  for (const std::optional<Place> &place : places_)
    if (place && place->space == Place::Space::Var)
      if (const Variable *variable = module.variable(place->var))
        addVar(place->var, variable->type);
  for (size_t i = 0; i < body.yields.size(); ++i) {
    const std::optional<Place> &place = places_[index(body.yields[i])];
    resultIndex_.push_back(-1);
    if (place && place->space != Place::Space::Result)
      continue;
    resultIndex_.back() = static_cast<int32_t>(results_.size());
    results_.push_back(port(resultName(fn, i), fn.type(body.yields[i])));
  }
}

gradc_port ProgramTable::port(const std::string &name, const Type &type) {
  gradc_port port{};
  port.name = keep(name);
  port.layout = keep(type.layout);
  port.dtype = static_cast<int32_t>(type.dtype);
  port.rank = type.rank();
  std::ranges::copy(type.shape, port.shape);
  port.bytes = storageBytes(type);
  return port;
}

int32_t ProgramTable::varIndex(const std::string &name) const {
  return static_cast<int32_t>(std::ranges::find(varNames_, name) - varNames_.begin());
}

void ProgramTable::addVar(const std::string &name, const Type &type) {
  if (std::ranges::find(varNames_, name) != varNames_.end())
    return;
  varNames_.push_back(name);
  vars_.push_back(port(name, type));
}

gradc_ref ProgramTable::ref(const Place &place) const {
  auto number = static_cast<size_t>(place.number);
  switch (place.space) {
  case Place::Space::Arena: return {GRADC_SPACE_ARENA, 0, place.number};
  case Place::Space::Var: return {GRADC_SPACE_VAR, varIndex(place.var), 0};
  case Place::Space::Arg:
    CHECK(argIndex_[number] >= 0, "argument {} lies at its variable", number);
    return {GRADC_SPACE_ARGUMENT, argIndex_[number], 0};
  case Place::Space::Result: return {GRADC_SPACE_RESULT, resultIndex_[number], 0};
  }
  CHECK(false, "place {}", toString(place));
}

std::vector<gradc_ref> ProgramTable::buffersOf(OpId kernel, int64_t workspaceOffset) const {
  std::vector<gradc_ref> refs;
  for (const std::vector<ValueId> *values : {&fn_[kernel].operands, &fn_[kernel].results})
    for (ValueId value : *values) {
      CHECK(places_[index(value)], "%{} has no place", fn_[value].name);
      refs.push_back(ref(*places_[index(value)]));
    }
  if (workspaceOffset >= 0)
    refs.push_back({GRADC_SPACE_ARENA, 0, workspaceOffset});
  return refs;
}

ProgramTable::Refs ProgramTable::addRefs(const std::vector<gradc_ref> &refs) {
  const auto first = static_cast<int32_t>(refs_.size());
  refs_.insert(refs_.end(), refs.begin(), refs.end());
  return {first, static_cast<int32_t>(refs.size())};
}

void ProgramTable::finish(int64_t arenaBytes, int64_t scratchBytes) {
  program_.steps = steps_.data();
  program_.refs = refs_.data();
  program_.vars = vars_.data();
  program_.args = args_.data();
  program_.results = results_.data();
  program_.num_steps = static_cast<int64_t>(steps_.size());
  program_.num_vars = static_cast<int64_t>(vars_.size());
  program_.num_args = static_cast<int64_t>(args_.size());
  program_.num_results = static_cast<int64_t>(results_.size());
  program_.arena_bytes = arenaBytes;
  program_.scratch_bytes = scratchBytes;
}

bool takesStep(const Function &fn, OpId op) {
  CHECK(fn[op].def->name == "kernel", "{} outside a kernel", fn[op].def->name);
  return !takesNoStep(fn, op);
}

std::string stepName(const Function &fn, OpId kernel) {
  constexpr size_t kMaxNames = 5;
  std::vector<std::string> names;
  auto add = [&](ValueId value) {
    std::string name = fn[value].name.substr(0, fn[value].name.find('~'));
    if (std::ranges::find(names, name) == names.end())
      names.push_back(name);
  };
  for (OpId id : fn[fn[kernel].regions[0]].ops)
    if (!fn[id].def->is(kCheap) && fn[id].def->name != "constant")
      add(fn[id].results[0]);
  if (names.empty())
    for (ValueId result : fn[kernel].results)
      add(result);
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMaxNames; ++i)
    text += (i == 0 ? "" : "+") + names[i];
  return names.size() > kMaxNames ? text + "+…" : text;
}

} // namespace gradc
