#include "tests/gradcheck/check.h"

#include <cmath>

#include "ir/builder.h"
#include "ir/interpreter.h"
#include "ir/verifier.h"
#include "passes/pass.h"
#include "support/philox.h"

namespace gradc::test {
namespace {

class Checker {
public:
  Checker(std::string_view op, const Sample &sample) : op_(op), sample_(sample) {}

  std::optional<std::string> run(bool second) {
    Function &fn = module_.addFunction("f");
    build(fn);
    if (auto wrong = compare("f", "gradient"))
      return wrong;
    if (!second || wrt_.empty())
      return std::nullopt;
    buildSecond();
    return compare("h", "second derivative");
  }

private:
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

  void build(Function &fn) {
    std::vector<ValueId> operands;
    for (size_t i = 0; i < sample_.operands.size(); ++i) {
      const Type type = sample_.operands[i].type();
      operands.push_back(fn.addArg(Function::kBody, type, fmt::format("x{}", i)));
      bool fixed = std::find(sample_.fixed.begin(), sample_.fixed.end(), int(i)) != sample_.fixed.end();
      if (type.dtype == DType::F64 && !fixed)
        wrt_.push_back(i);
    }
    Builder b(fn);
    fn.body().yields = {weighted(b, b.named("y").create(op_, operands, sample_.attrs), 0)};
  }

  /// @h sums the gradients that @f.grad gives.
  void buildSecond() {
    Function &fn = module_.addFunction("h");
    fn = *module_.function("f.grad");
    fn.name = "h";
    fn.resultAttrs.clear();
    Builder b(fn);
    ValueId sum = kNoValue;
    for (size_t i = 0; i < wrt_.size(); ++i) {
      ValueId part = weighted(b, fn.body().yields[i + 1], i + 1);
      sum = sum == kNoValue ? part : b.add(sum, part);
    }
    fn.body().yields = {sum};
  }

  std::optional<std::string> compare(const std::string &function, std::string_view what) {
    std::vector<std::string> names;
    for (size_t i : wrt_)
      names.push_back(fmt::format("%x{}", i));
    Diagnostics diag;
    auto pipeline = parsePipeline(fmt::format("autodiff{{of=@{}, wrt=[{}]}}", function, fmt::join(names, ", ")), diag);
    PassManager manager({});
    if (!pipeline || !manager.run(module_, *pipeline, diag) || !verify(module_, diag))
      return fmt::format("{} of {}: {}", what, describe(op_, sample_), diag.render());
    std::vector<Tensor> results = interpret(module_, *module_.function(function + ".grad"), sample_.operands);
    for (size_t k = 0; k < wrt_.size(); ++k)
      for (int64_t i = 0; i < results[k + 1].elements(); ++i) {
        double analytic = results[k + 1].get(i), numeric = difference(*module_.function(function), wrt_[k], i);
        double bound = kAbsolute + kRelative * std::max(std::fabs(analytic), std::fabs(numeric));
        if (!(std::fabs(analytic - numeric) <= bound))
          return fmt::format("{} of {}: element {} of operand {} is {} but differences give {}", what,
                             describe(op_, sample_), i, wrt_[k], analytic, numeric);
      }
    return std::nullopt;
  }

  /// df/dx by five points.
  double difference(const Function &fn, size_t operand, int64_t element) const {
    constexpr double kStep = 1e-3;
    std::vector<Tensor> arguments = sample_.operands;
    double x = arguments[operand].get(element);
    auto at = [&](double steps) {
      arguments[operand].set(element, x + steps * kStep);
      return interpret(module_, fn, arguments)[0].get(0);
    };
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * kStep);
  }

  std::string_view op_;
  const Sample &sample_;
  Module module_;
  std::vector<size_t> wrt_;
};

} // namespace

std::optional<std::string> checkGradient(std::string_view op, const Sample &sample, bool second) {
  return Checker(op, sample).run(second);
}

} // namespace gradc::test
