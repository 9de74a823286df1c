// Brings ops into one form of several that mean the same, by the rules of canonicalize_*_util.cpp, until none
// applies. No rule changes a bit of a result.
//
//   %one = constant() {value = splat(1.0)} : f32[]
//   %ones = broadcast(%one) {axes = [], shape = [4]} : f32[4]
//   %a = mul(%ones, %x) : f32[4]
//   return %a
// becomes (the constant stays for dce)
//   %one = constant() {value = splat(1.0)} : f32[]
//   %ones = broadcast(%one) {axes = [], shape = [4]} : f32[4]
//   return %x
//
// Runs after expand and optimizer, whose templates leave such ops, and before cse, which then finds more ops
// equal. Runs before layout: rules but those about relayout speak of row-major values only.
#include <algorithm>
#include <map>

#include "passes/canonicalize_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

using RulesByRoot = std::map<std::string_view, std::vector<const CanonicalRule *>>;

RulesByRoot rulesByRoot(const AttrList &only) {
  auto wanted = [&](std::string_view name) {
    return only.empty() || std::ranges::any_of(only, [&](const Attr &attr) {
             return attr.as<Keyword>() && attr.as<Keyword>()->word == name;
           });
  };
  RulesByRoot rules;
  for (std::span<const CanonicalRule> group : {canonicalMovementRules(), canonicalArithmeticRules()})
    for (const CanonicalRule &rule : group)
      if (wanted(rule.name)) {
        for (std::string_view root : rule.roots)
          rules[root].push_back(&rule);
        if (rule.roots.empty())
          rules[""].push_back(&rule);
      }
  return rules;
}

/// A misspelt rule would quietly do nothing.
Result<void> checkNames(const AttrList &only, Diagnostics &diag) {
  std::vector<std::string_view> names;
  for (std::span<const CanonicalRule> group : {canonicalMovementRules(), canonicalArithmeticRules()})
    for (const CanonicalRule &rule : group)
      names.push_back(rule.name);
  for (const Attr &attr : only) {
    const Keyword *word = attr.as<Keyword>();
    if (!word || std::ranges::find(names, word->word) == names.end())
      return std::unexpected(diag.error({}, "canonicalize has no rule {}{}", toString(attr),
                                        proposal(word ? word->word : "", names)));
  }
  return {};
}

bool isRowMajor(const Function &fn, const OpData &op) {
  auto plain = [&](ValueId v) { return fn.type(v).layout.empty(); };
  return std::ranges::all_of(op.operands, plain) && std::ranges::all_of(op.results, plain);
}

class Canonicalizer {
public:
  Canonicalizer(Function &fn, const RulesByRoot &rules, PassContext &context)
      : fn_(fn), rules_(rules), context_(context) {}

  std::optional<std::vector<ValueId>> operator()(OpId op, Builder &b) const {
    const OpDef &def = *fn_[op].def;
    if (fn_[op].results.size() != 1 || !fn_[op].regions.empty() || def.is(kOrdered) ||
        !(isRowMajor(fn_, fn_[op]) || def.name == "relayout"))
      return std::nullopt;
    for (std::string_view root : {def.name, std::string_view()})
      if (auto group = rules_.find(root); group != rules_.end())
        for (const CanonicalRule *rule : group->second)
          if (auto value = tryRule(*rule, op, b))
            return std::vector{*value};
    return std::nullopt;
  }

private:
  std::optional<ValueId> tryRule(const CanonicalRule &rule, OpId op, Builder &b) const {
    Match match(fn_, op, b);
    ValueId value = rule.apply(match);
    if (value == kNoValue)
      return std::nullopt;
    ++context_.statistics[std::string(rule.name)];
    if (context_.remarks)
      context_.diag.remark(fn_[op].loc, "%{}: {}", fn_[fn_[op].results[0]].name, rule.doc);
    return value;
  }

  Function &fn_;
  const RulesByRoot &rules_;
  PassContext &context_;
};

Result<bool> run(Module &module, PassContext &context) {
  const AttrList &only = *context.options.find("rules")->as<AttrList>();
  if (auto checked = checkNames(only, context.diag); !checked)
    return std::unexpected(checked.error());
  const RulesByRoot rules = rulesByRoot(only);
  bool changed = false;
  for (auto &fn : module.functions)
    while (rewriteOps(*fn, Canonicalizer(*fn, rules, context)))
      changed = true;
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(canonicalize) {
  return {.name = "canonicalize",
          .doc = "bring ops into one form of several that mean the same",
          .options = {{"rules", "apply only the rules of these names", AttrList{}}},
          .run = run};
}
