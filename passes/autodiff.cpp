// Reverse-mode differentiation, IR to IR. Makes @<of>.grad: what @<of> computes, then the gradient of its first
// result with respect to each value of `wrt`.
//
//   func @loss(%x: f32[4], %w: f32[4] {var = @w}) -> f32[] {
//     %p = mul(%x, %w) : f32[4]
//     %s = reduce_sum(%p) {axes = [0]} : f32[]
//     return %s
//   }
// gets beside it, by autodiff{wrt=[@w]},
//   func @loss.grad(%x: f32[4], %w: f32[4] {var = @w}) -> (f32[], f32[4] {grad = @w}) {
//     %p = mul(%x, %w) : f32[4]
//     %s = reduce_sum(%p) {axes = [0]} : f32[]
//     %s.grad = constant() {value = splat(1.0)} : f32[]
//     %p.grad = broadcast(%s.grad) {axes = [], shape = [4]} : f32[4]
//     %w.grad = mul(%p.grad, %x) : f32[4]
//     return %s, %w.grad
//   }
//
// Runs first, on composites: an op's own `grad` knows better formulas than its expansion's (softmax_cross_entropy).
// An op without one is expanded here, one level at a time, until every op on a path from `wrt` to the result has
// a gradient. Paths through integers and bools carry none: what is asked for by name then gets zero, a trainable
// parameter that has no other path is an error. Its result can be differentiated again.
#include <algorithm>
#include <memory>

#include "passes/autodiff_util.h"
#include "passes/pass.h"
#include "passes/rewrite_util.h"

namespace gradc {
namespace {

/// Which values depend on `wrt` through floats, and which the result depends on.
struct Paths {
  std::vector<bool> active, needed;
  bool on(ValueId v) const { return active[index(v)] && needed[index(v)]; }
};

Paths findPaths(const Function &fn, const std::vector<ValueId> &wrt, ValueId target) {
  Paths paths{std::vector<bool>(fn.numValues()), std::vector<bool>(fn.numValues())};
  for (ValueId v : wrt)
    paths.active[index(v)] = true;
  const std::vector<OpId> &ops = fn.body().ops;
  for (OpId op : ops)
    if (std::ranges::any_of(fn[op].operands, [&](ValueId v) { return paths.active[index(v)]; }))
      for (ValueId v : fn[op].results)
        if (isFloat(fn.type(v).dtype))
          paths.active[index(v)] = true;
  paths.needed[index(target)] = true;
  for (auto op = ops.rbegin(); op != ops.rend(); ++op)
    if (std::ranges::any_of(fn[*op].results, [&](ValueId v) { return paths.on(v); }))
      for (ValueId v : fn[*op].operands)
        paths.needed[index(v)] = true;
  return paths;
}

/// Where the result depends on v through integers or bools only: the op that leaves the floats; else kNoOp.
OpId findBarrier(const Function &fn, ValueId v, ValueId target) {
  std::vector<bool> floats(fn.numValues()), any(fn.numValues()), needed(fn.numValues());
  floats[index(v)] = any[index(v)] = needed[index(target)] = true;
  const std::vector<OpId> &ops = fn.body().ops;
  for (auto op = ops.rbegin(); op != ops.rend(); ++op)
    if (std::ranges::any_of(fn[*op].results, [&](ValueId r) { return needed[index(r)]; }))
      for (ValueId x : fn[*op].operands)
        needed[index(x)] = true;
  OpId barrier = kNoOp;
  for (OpId op : ops) {
    const bool inFloats = std::ranges::any_of(fn[op].operands, [&](ValueId x) { return floats[index(x)]; });
    const bool in = std::ranges::any_of(fn[op].operands, [&](ValueId x) { return any[index(x)]; });
    for (ValueId r : fn[op].results) {
      any[index(r)] = any[index(r)] || in;
      const bool isFloatResult = isFloat(fn.type(r).dtype);
      floats[index(r)] = inFloats && isFloatResult;
      if (barrier == kNoOp && inFloats && !isFloatResult && needed[index(r)])
        barrier = op;
    }
  }
  return any[index(target)] && !floats[index(target)] ? barrier : kNoOp;
}

class Differentiator {
public:
  /// `strict`: a value that reaches the result, but never through floats, is an error and not a gradient of zero.
  Differentiator(Function &fn, std::vector<ValueId> wrt, size_t result, bool strict, Diagnostics &diag)
      : fn_(fn), wrt_(std::move(wrt)), result_(result), strict_(strict), diag_(diag) {}

  /// One gradient per value of wrt.
  Result<std::vector<ValueId>> run() {
    expandOpsWithoutGradient();
    Paths paths = findPaths(fn_, wrt_, target());
    grads_.assign(fn_.numValues(), kNoValue);
    Builder b(fn_);
    grads_[index(target())] = splatGradient(b, target(), 1);
    const std::vector<OpId> forward = fn_.body().ops;
    for (auto op = forward.rbegin(); op != forward.rend(); ++op)
      visit(*op, paths);
    for (ValueId v : wrt_)
      if (strict_ && grads_[index(v)] == kNoValue)
        if (const OpId barrier = findBarrier(fn_, v, target()); barrier != kNoOp)
          reportNotDifferentiable(barrier);
    if (failed_)
      return std::unexpected(diag_.failed());
    std::vector<ValueId> result;
    for (ValueId v : wrt_) // no path: the result does not depend on v
      result.push_back(grads_[index(v)] != kNoValue ? grads_[index(v)] : splatGradient(b, v, 0));
    return result;
  }

private:
  ValueId target() const { return fn_.body().yields[result_]; }

  ValueId splatGradient(Builder &b, ValueId v, double value) {
    std::string name = fn_[v].name + ".grad";
    ValueId gradient = b.named(name + "~1").splat(Type(fn_.type(v)), value);
    fn_.rename(gradient, name);
    return gradient;
  }

  void expandOpsWithoutGradient() {
    for (bool changed = true; changed;) {
      Paths paths = findPaths(fn_, wrt_, target());
      std::vector<std::string> names; // compaction renumbers, names stay
      for (ValueId v : wrt_)
        names.push_back(fn_[v].name);
      changed = rewriteOps(fn_, [&](OpId op, Builder &b) -> std::optional<std::vector<ValueId>> {
        const OpData &data = fn_[op];
        bool onPath = std::ranges::any_of(data.results, [&](ValueId v) { return paths.on(v); });
        if (!onPath || data.def->grad || !data.def->expand || data.region != Function::kBody)
          return std::nullopt;
        return expandOp(fn_, op, b);
      });
      for (size_t i = 0; changed && i < names.size(); ++i)
        wrt_[i] = *findValue(fn_, names[i]);
    }
  }

  void visit(OpId op, const Paths &paths) {
    const OpData data = fn_[op]; // a copy: the arena grows
    std::vector<ValueId> resultGrads;
    for (ValueId v : data.results)
      resultGrads.push_back(paths.on(v) ? grads_[index(v)] : kNoValue);
    bool reached = std::ranges::any_of(resultGrads, [](ValueId v) { return v != kNoValue; });
    auto wanted = std::make_unique<bool[]>(data.operands.size()); // GradArgs takes a span of bool
    bool any = false;
    for (size_t i = 0; i < data.operands.size(); ++i)
      any |= wanted[i] = paths.active[index(data.operands[i])];
    if (!reached || !any)
      return;
    if (!data.def->grad)
      return reportNotDifferentiable(op);

    Builder b(fn_);
    b.at(data.loc).named(fn_[data.results[0]].name + ".grad");
    std::vector<ValueId> operandGrads(data.operands.size(), kNoValue);
    GradArgs args(b, fn_, op, resultGrads, {wanted.get(), data.operands.size()}, operandGrads);
    args.setAttrs(withDefaults(*data.def, data.attrs));
    size_t mark = fn_.numValues();
    data.def->grad(args);
    for (size_t i = 0; i < data.operands.size(); ++i)
      if (operandGrads[i] != kNoValue)
        accumulate(data.operands[i], operandGrads[i], mark, b);
  }

  /// Adds to the gradient of v, which ends up named %v.grad.
  void accumulate(ValueId v, ValueId part, size_t mark, Builder &b) {
    std::string name = fn_[v].name + ".grad";
    ValueId &sum = grads_[index(v)];
    bool fresh = index(part) >= mark && !fn_[part].name.starts_with(name);
    if (fresh)
      fn_.rename(part, name);
    if (sum == kNoValue) {
      sum = part;
      return;
    }
    ValueId old = sum;
    sum = b.named(name).add(old, part);
    if (fn_[old].name == name)
      takeName(fn_, old, sum);
  }

  void reportNotDifferentiable(OpId op) {
    const OpData &data = fn_[op];
    std::string_view reason = data.def->notDifferentiable;
    (void)diag_.error(data.loc, "'{}' of %{} is not differentiable{}{}, and the gradient needs it",
                      data.def->name, fn_[data.results[0]].name, reason.empty() ? "" : ": ", reason);
    failed_ = true;
  }

  Function &fn_;
  std::vector<ValueId> wrt_;
  size_t result_;
  bool strict_;
  Diagnostics &diag_;
  std::vector<ValueId> grads_; // by value
  bool failed_ = false;
};

Function &cloneFunction(Module &module, const Function &fn, std::string name) {
  Function &clone = module.addFunction(std::move(name));
  std::string cloneName = clone.name;
  clone = fn;
  clone.name = cloneName;
  return clone;
}

void setResults(Function &fn, const std::vector<ValueId> &wrt, const std::vector<ValueId> &gradients) {
  fn.resultAttrs.resize(fn.body().yields.size());
  for (size_t i = 0; i < wrt.size(); ++i) {
    const SymbolRef *variable = variableOf(fn[wrt[i]].attrs);
    fn.resultAttrs.push_back({{"grad", variable ? Attr(*variable) : Attr(fn[wrt[i]].name)}});
    fn.body().yields.push_back(gradients[i]);
  }
}

Result<void> checkTarget(const Function &fn, int64_t result, bool sum, Diagnostics &diag) {
  size_t count = fn.body().yields.size();
  if (result < 0 || static_cast<size_t>(result) >= count)
    return std::unexpected(
        diag.error(fn.loc, "@{} has {} results, but got result={}", fn.name, count, result));
  const Type &type = fn.type(fn.body().yields[static_cast<size_t>(result)]);
  if (!isFloat(type.dtype) || (!sum && type.rank() != 0))
    return std::unexpected(
        diag.error(fn.loc, "result {} of @{} must be a float scalar to be differentiated{}, but got {}",
                   result, fn.name, sum ? "" : " (or sum=true)", toString(type)));
  return {};
}

Result<bool> run(Module &module, PassContext &context) {
  const std::string of = context.options.str("of");
  const Function *fn = module.function(of);
  if (!fn)
    return std::unexpected(reportNoFunction(module, of, context.diag));
  int64_t result = context.options.i64("result");
  if (auto checked = checkTarget(*fn, result, context.options.flag("sum"), context.diag); !checked)
    return std::unexpected(checked.error());
  if (auto checked = checkRowMajor(*fn, context.diag); !checked)
    return std::unexpected(checked.error());
  if (module.function(of + ".grad"))
    return std::unexpected(context.diag.error(fn->loc, "@{}.grad exists already", of));
  auto wrt = findWrt(module, *fn, *context.options.find("wrt"), context.diag);
  if (!wrt)
    return std::unexpected(wrt.error());

  Function &grad = cloneFunction(module, *fn, of + ".grad");
  std::vector<std::string> names;
  for (ValueId v : *wrt)
    names.push_back(grad[v].name);
  const bool trains =
      context.options.find("wrt")->as<Unit>(); // nobody trains a parameter on purpose to no effect
  auto gradients = Differentiator(grad, *wrt, static_cast<size_t>(result), trains, context.diag).run();
  if (!gradients) {
    module.removeFunction(of + ".grad");
    return std::unexpected(gradients.error());
  }
  for (size_t i = 0; i < names.size(); ++i)
    (*wrt)[i] = *findValue(grad, names[i]); // expansion renumbers
  grad.attrs.set("of", SymbolRef{of});
  setResults(grad, *wrt, *gradients);
  context.statistics["gradients"] += static_cast<int64_t>(gradients->size());
  return true;
}

} // namespace
} // namespace gradc

GRADC_PASS(autodiff) {
  return {.name = "autodiff",
          .doc = "make @<of>.grad, which also returns gradients of a result of @<of>",
          .options = {{"of", "the function", SymbolRef{"loss"}},
                      {"wrt", "values: [@variable, %value, …]; default: every trainable parameter", {}},
                      {"result", "which result is differentiated", int64_t{0}},
                      {"sum", "differentiate the sum of the result's elements", false}},
          .exactness = Exactness::Meaning,
          .optional = false,
          .run = run};
}
