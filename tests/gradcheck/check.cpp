#include "tests/gradcheck/check.h"

#include <cmath>

#include "ir/builder.h"
#include "ir/interpreter.h"
#include "ir/rules.h"
#include "ir/verifier.h"
#include "passes/pass.h"
#include "support/philox.h"

namespace gradc::test {
namespace {

/// Σ r·v with fixed random r in [0.5, 1.5).
ValueId weighted(Builder &b, ValueId v, uint64_t stream) {
  const Type type = b.type(v);
  Tensor weights(type);
  for (int64_t i = 0; i < weights.elements(); ++i)
    weights.set(i, 0.5 + uniformFromBits(randomBits(2, stream, 0, uint64_t(i))[0]));
  ValueId product = b.mul(v, b.constant(std::move(weights)));
  std::vector<int64_t> axes;
  for (int axis = 0; axis < type.rank(); ++axis)
    axes.push_back(axis);
  return axes.empty() ? product : b.reduceSum(product, axes);
}

void build(Function &fn, std::string_view op, const Sample &sample, std::vector<size_t> &wrt) {
  std::vector<ValueId> operands;
  for (size_t i = 0; i < sample.operands.size(); ++i) {
    const Type type = sample.operands[i].type();
    operands.push_back(fn.addArg(Function::kBody, type, fmt::format("x{}", i)));
    bool fixed = std::find(sample.fixed.begin(), sample.fixed.end(), int(i)) != sample.fixed.end();
    if (isFloat(type.dtype) && !fixed)
      wrt.push_back(i);
  }
  Builder b(fn);
  const OpId made = b.named("y").createOp(op, operands, sample.attrs);
  ValueId sum = kNoValue;
  const std::vector<ValueId> results = fn[made].results; // building moves the arena
  for (size_t r = 0; r < results.size(); ++r) {
    ValueId part = weighted(b, results[r], 100 * r);
    sum = sum == kNoValue ? part : b.add(sum, part);
  }
  fn.body().yields = {sum};
}

/// Makes @function.grad; the text of an error, or nothing.
Problem differentiate(Module &module, std::string_view function, const std::vector<size_t> &wrt) {
  std::vector<std::string> names;
  for (size_t i : wrt)
    names.push_back(fmt::format("%x{}", i));
  Diagnostics diag;
  auto pipeline =
      parsePipeline(fmt::format("autodiff{{of=@{}, wrt=[{}]}}", function, fmt::join(names, ", ")), diag);
  PassManager manager({});
  if (!pipeline || !manager.run(module, *pipeline, diag) || !verify(module, diag))
    return diag.render();
  return std::nullopt;
}

/// @h sums the gradients that @f.grad gives.
void buildSecond(Module &module, const std::vector<size_t> &wrt) {
  Function &fn = module.addFunction("h");
  fn = *module.function("f.grad");
  fn.name = "h";
  fn.resultAttrs.clear();
  Builder b(fn);
  ValueId sum = kNoValue;
  for (size_t i = 0; i < wrt.size(); ++i) {
    ValueId part = weighted(b, fn.body().yields[i + 1], i + 1);
    sum = sum == kNoValue ? part : b.add(sum, part);
  }
  fn.body().yields = {sum};
}

/// df/dx by five points.
double difference(const Module &module, const Function &fn, std::vector<Tensor> arguments, size_t operand,
                  int64_t element) {
  constexpr double kStep = 1e-3;
  double x = arguments[operand].get(element);
  auto at = [&](double steps) {
    arguments[operand].set(element, x + steps * kStep);
    return interpret(module, fn, arguments)[0].get(0);
  };
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * kStep);
}

/// The gradients of @function.grad against differences of @function.
Problem compare(const Module &module, const std::string &function, const Sample &sample,
                const std::vector<size_t> &wrt) {
  std::vector<Tensor> results = interpret(module, *module.function(function + ".grad"), sample.operands);
  for (size_t k = 0; k < wrt.size(); ++k)
    for (int64_t i = 0; i < results[k + 1].elements(); ++i) {
      double analytic = results[k + 1].get(i);
      double numeric = difference(module, *module.function(function), sample.operands, wrt[k], i);
      double bound = kAbsolute + kRelative * std::max(std::fabs(analytic), std::fabs(numeric));
      if (!(std::fabs(analytic - numeric) <= bound))
        return fmt::format("element {} of operand {} is {} but differences give {}", i, wrt[k], analytic,
                           numeric);
    }
  return std::nullopt;
}

} // namespace

Rule<GradientModule> makeGradient(std::string_view op, const Sample &sample) {
  GradientModule made;
  build(made.module.addFunction("f"), op, sample, made.wrt);
  if (Problem problem = differentiate(made.module, "f", made.wrt))
    return refuse("{}: {}", describe(op, sample), *problem);
  return made;
}

std::optional<std::string> checkGradient(std::string_view op, const Sample &sample, bool second) {
  Rule<GradientModule> made = makeGradient(op, sample);
  if (!made)
    return made.error();
  Problem problem = compare(made->module, "f", sample, made->wrt);
  if (problem)
    return fmt::format("gradient of {}: {}", describe(op, sample), *problem);
  if (!second)
    return std::nullopt;
  buildSecond(made->module, made->wrt);
  problem = differentiate(made->module, "h", made->wrt);
  if (!problem)
    problem = compare(made->module, "h", sample, made->wrt);
  if (problem)
    return fmt::format("second derivative of {}: {}", describe(op, sample), *problem);
  return std::nullopt;
}

} // namespace gradc::test
