#include "ir/verifier.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "ir/result_types.h"
#include "ir/spelling.h"
#include "ir/verifier_kernel.h"

namespace gradc {
namespace {

class FunctionVerifier {
public:
  FunctionVerifier(const Module &module, const Function &fn, Diagnostics &diag)
      : module_(module), fn_(fn), diag_(diag), defined_(fn.numValues(), false) {}

  void run() {
    const RegionData &body = fn_.body();
    if (!fn_.resultAttrs.empty() && fn_.resultAttrs.size() != body.yields.size())
      error(fn_.loc, "{} results are returned, but {} have attributes", body.yields.size(),
            fn_.resultAttrs.size());
    verifyRegion(Function::kBody);
    verifyArgVariables();
    verifyResultVariables();
  }

private:
  /// Every message names the function: a dump has many.
  template <class... Args>
  void error(const Location &loc, fmt::format_string<Args...> format, Args &&...args) {
    (void)diag_.error(loc, "in {}: {}", symbolText(fn_.name),
                      fmt::format(format, std::forward<Args>(args)...));
  }

  void verifyRegion(RegionId id) {
    const RegionData &region = fn_[id];
    std::unordered_set<std::string_view> names;
    for (ValueId arg : region.args)
      define(arg, id, names, fn_[arg].loc);
    for (OpId op : region.ops)
      verifyOp(id, op, names);
    for (ValueId v : region.yields)
      verifyUse(id, v, region.yieldLoc, id == Function::kBody ? "return" : "yield");
  }

  void define(ValueId v, RegionId region, std::unordered_set<std::string_view> &names, const Location &loc) {
    const ValueData &value = fn_[v];
    if (value.name.empty() || !names.insert(value.name).second)
      error(loc, "{} names two values of one region", valueText(value.name));
    if (value.region != region || defined_[index(v)])
      error(loc, "{} is not linked where it is defined", valueText(value.name));
    if (std::optional<std::string> wrong = checkShape({value.type.shape.begin(), value.type.shape.end()}))
      error(loc, "{}: {}", valueText(value.name), *wrong);
    else if (std::optional<std::string> wrong = checkLayout(value.type))
      error(loc, "{}: {}", valueText(value.name), *wrong);
    defined_[index(v)] = true;
  }

  void verifyUse(RegionId region, ValueId v, const Location &loc, std::string_view user) {
    if (index(v) >= fn_.numValues())
      error(loc, "{} uses a value that does not exist", user);
    else if (!defined_[index(v)])
      error(loc, "{} uses {}, which is not defined above", user, valueText(fn_[v].name));
    else if (fn_[v].region != region)
      error(loc, "{} uses {} of another region", user, valueText(fn_[v].name));
  }

  void verifyOp(RegionId region, OpId id, std::unordered_set<std::string_view> &names) {
    const OpData &op = fn_[id];
    size_t before = diag_.errorCount();
    for (ValueId v : op.operands)
      verifyUse(region, v, op.loc, op.def->name);
    for (RegionId inner : op.regions)
      verifyRegion(inner);
    if (diag_.errorCount() == before) // what follows reads operands and yields
      verifyRules(id);
    for (ValueId v : op.results)
      define(v, region, names, op.loc);
  }

  void verifyRules(OpId id) {
    const OpData &op = fn_[id];
    Rule<Dict> normal = normalizeAttrs(*op.def, op.attrs);
    if (!normal)
      return error(op.loc, "{}", normal.error());
    if (!(*normal == op.attrs))
      error(op.loc, "{}'s attributes are {}, but the row's order without defaults is {}", op.def->name,
            toString(op.attrs), toString(*normal));
    if (static_cast<int>(op.regions.size()) != op.def->numRegions)
      return error(op.loc, "{} has {} regions, but got {}", op.def->name, op.def->numRegions,
                   op.regions.size());
    std::vector<Type> operands = typesOf(op.operands), results = typesOf(op.results);
    if (op.def->is(kElementwise))
      for (const Type &type : operands)
        if (type.layout != operands[0].layout)
          return error(op.loc, "{} is elementwise, but its operands {} and {} have different layouts",
                       op.def->name, toString(operands[0]), toString(type));
    Rule<std::vector<Type>> inferred = resultTypesOf(module_, fn_, *op.def, operands, op.attrs, op.regions);
    if (!inferred)
      return error(op.loc, "{}", inferred.error());
    if (std::optional<std::string> wrong = checkResultTypes(*op.def, results, *inferred))
      error(op.loc, "{}", *wrong);
    if (!op.regions.empty())
      for (const std::string &wrong : kernelErrors(fn_, id))
        error(op.loc, "{}", wrong);
  }

  std::vector<Type> typesOf(const std::vector<ValueId> &values) const {
    std::vector<Type> types;
    for (ValueId v : values)
      types.push_back(fn_.type(v));
    return types;
  }

  /// `{var = @w}` on an argument or result: the declaration's type, and each variable once.
  void verifyVariable(const Dict &attrs, const Type &type, const Location &loc, std::string_view what,
                      std::unordered_set<std::string_view> &seen) {
    const Attr *attr = attrs.find("var");
    if (!attr)
      return;
    const SymbolRef *symbol = attr->as<SymbolRef>();
    if (!symbol)
      return error(loc, "{} has var = {}, but a variable's @name is expected", what, toString(*attr));
    const Variable *variable = module_.variable(symbol->name);
    if (!variable)
      return error(loc, "{} has var = {}, but no variable is called so", what, toString(*attr));
    if (!(variable->type == type))
      error(loc, "{} is {}, but variable {} is {}", what, toString(type), symbolText(symbol->name),
            toString(variable->type));
    if (!seen.insert(symbol->name).second)
      error(loc, "{} has var = {}, which another one has too", what, toString(*attr));
  }

  void verifyArgVariables() {
    std::unordered_set<std::string_view> seen;
    for (ValueId arg : fn_.body().args) {
      const ValueData &value = fn_[arg];
      verifyVariable(value.attrs, value.type, value.loc, fmt::format("argument {}", valueText(value.name)),
                     seen);
    }
  }

  void verifyResultVariables() {
    const std::vector<ValueId> &yields = fn_.body().yields;
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < std::min(yields.size(), fn_.resultAttrs.size()); ++i)
      if (index(yields[i]) < fn_.numValues())
        verifyVariable(fn_.resultAttrs[i], fn_.type(yields[i]), fn_.body().yieldLoc,
                       fmt::format("result {}", i), seen);
  }

  const Module &module_;
  const Function &fn_;
  Diagnostics &diag_;
  std::vector<bool> defined_;
};

/// The plan of a function is looked at once all else is right.
void verifyFunction(const Module &module, const Function &fn, Diagnostics &diag) {
  const size_t before = diag.errorCount();
  FunctionVerifier(module, fn, diag).run();
  if (diag.errorCount() == before && isPlanned(fn))
    (void)verifyPlan(fn, diag);
}

class ModuleVerifier {
public:
  ModuleVerifier(const Module &module, Diagnostics &diag) : module_(module), diag_(diag) {}

  void run() {
    for (const Variable &variable : module_.variables)
      verifyVariable(variable);
    for (const Constant &constant : module_.constants)
      if (!names_.insert(constant.name).second)
        (void)diag_.error(constant.loc, "{} is declared twice", symbolText(constant.name));
    std::unordered_set<std::string_view> functions;
    for (const auto &fn : module_.functions) {
      if (!functions.insert(fn->name).second)
        (void)diag_.error(fn->loc, "function {} is defined twice", symbolText(fn->name));
      verifyFunction(module_, *fn, diag_);
    }
  }

private:
  void verifyVariable(const Variable &variable) {
    std::string name = symbolText(variable.name);
    if (!names_.insert(variable.name).second)
      (void)diag_.error(variable.loc, "{} is declared twice", name);
    if (std::optional<std::string> wrong = checkLayout(variable.type))
      (void)diag_.error(variable.loc, "{}: {}", name, *wrong);
    const Attr *of = variable.attrs.find("of");
    if (!of || variable.kind != VarKind::Slot)
      return;
    const SymbolRef *symbol = of->as<SymbolRef>();
    const Variable *owner = symbol ? module_.variable(symbol->name) : nullptr;
    if (!owner || owner->kind != VarKind::Param)
      (void)diag_.error(variable.loc, "slot {} has of = {}, which is no param", name, toString(*of));
  }

  const Module &module_;
  Diagnostics &diag_;
  std::unordered_set<std::string_view> names_;
};

template <class Run> Result<void> outcome(Diagnostics &diag, Run run) {
  size_t before = diag.errorCount();
  run();
  if (diag.errorCount() != before)
    return std::unexpected(diag.failed());
  return {};
}

} // namespace

Result<void> verify(const Module &module, Diagnostics &diag) {
  return outcome(diag, [&] { ModuleVerifier(module, diag).run(); });
}

Result<void> verify(const Module &module, const Function &fn, Diagnostics &diag) {
  return outcome(diag, [&] { verifyFunction(module, fn, diag); });
}

} // namespace gradc
