#include "passes/autodiff_util.h"

#include <algorithm>

#include "ir/spelling.h"

namespace gradc {
namespace {

std::optional<ValueId> findVariable(const Function &fn, std::string_view name) {
  for (ValueId arg : fn.body().args)
    if (const SymbolRef *variable = variableOf(fn[arg].attrs); variable && variable->name == name)
      return arg;
  return std::nullopt;
}

std::vector<std::string_view> knownNames(const Function &fn) {
  std::vector<std::string_view> names;
  for (ValueId arg : fn.body().args)
    names.push_back(fn[arg].name);
  for (OpId op : fn.body().ops)
    for (ValueId v : fn[op].results)
      names.push_back(fn[v].name);
  return names;
}

Result<ValueId> findOne(const Function &fn, const Attr &attr, Diagnostics &diag) {
  std::optional<ValueId> found;
  std::string name;
  if (const SymbolRef *symbol = attr.as<SymbolRef>()) {
    name = symbol->name;
    found = findVariable(fn, name);
  } else if (const Keyword *word = attr.as<Keyword>(); word && word->word.starts_with('%')) {
    name = word->word.substr(1);
    found = findValue(fn, name);
  } else if (word || attr.as<std::string>()) {
    name = word ? word->word : *attr.as<std::string>();
    found = findVariable(fn, name);
    found = found ? found : findValue(fn, name);
  }
  if (!found)
    return std::unexpected(diag.error(fn.loc, "@{} has no variable or value {}{}", fn.name, toString(attr),
                                      proposal(name, knownNames(fn))));
  if (!isFloat(fn.type(*found).dtype))
    return std::unexpected(diag.error(fn.loc, "only floats have gradients, but %{} is {}", fn[*found].name,
                                      toString(fn.type(*found))));
  return *found;
}

Result<std::vector<ValueId>> trainableParameters(const Module &module, const Function &fn,
                                                 Diagnostics &diag) {
  std::vector<ValueId> values;
  for (const Variable &variable : module.variables)
    if (isTrainable(variable))
      if (auto arg = findVariable(fn, variable.name))
        values.push_back(*arg);
  if (values.empty())
    return std::unexpected(
        diag.error(fn.loc, "@{} has no trainable parameter; name values with wrt", fn.name));
  return values;
}

} // namespace

std::optional<ValueId> findValue(const Function &fn, std::string_view name) {
  for (ValueId arg : fn.body().args)
    if (fn[arg].name == name)
      return arg;
  for (OpId op : fn.body().ops)
    for (ValueId v : fn[op].results)
      if (fn[v].name == name)
        return v;
  return std::nullopt;
}

Reported reportNoFunction(const Module &module, std::string_view name, Diagnostics &diag) {
  std::vector<std::string_view> names;
  for (const auto &fn : module.functions)
    names.push_back(fn->name);
  return diag.error({}, "there is no function @{}{}", name, proposal(name, names));
}

Result<std::vector<ValueId>> findWrt(const Module &module, const Function &fn, const Attr &wrt,
                                     Diagnostics &diag) {
  if (wrt.as<Unit>())
    return trainableParameters(module, fn, diag);
  AttrList one{wrt};
  const AttrList *list = wrt.as<AttrList>();
  std::vector<ValueId> values;
  for (const Attr &attr : list ? *list : one) {
    Result<ValueId> value = findOne(fn, attr, diag);
    if (!value)
      return std::unexpected(value.error());
    if (std::ranges::find(values, *value) != values.end())
      return std::unexpected(diag.error(fn.loc, "wrt names %{} twice", fn[*value].name));
    values.push_back(*value);
  }
  return values;
}

Result<void> checkRowMajor(const Function &fn, Diagnostics &diag) {
  std::vector<ValueId> values = fn.body().args;
  for (OpId op : fn.body().ops)
    values.insert(values.end(), fn[op].results.begin(), fn[op].results.end());
  for (ValueId v : values)
    if (!fn.type(v).layout.empty())
      return std::unexpected(diag.error(fn.location(v),
                                        "{} is {}, but layouts are chosen after differentiation",
                                        valueText(fn[v].name), toString(fn.type(v))));
  return {};
}

bool isTrainable(const Variable &variable) {
  const Attr *trainable = variable.attrs.find("trainable");
  return variable.kind == VarKind::Param && !(trainable && trainable->as<bool>() && !*trainable->as<bool>());
}

} // namespace gradc
