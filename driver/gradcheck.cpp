// gradc gradcheck: compares the gradients of a user's own model with central differences, in f64, through the
// interpreter.
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "driver/arguments.h"
#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/load_module.h"
#include "driver/values.h"
#include "ir/interpreter.h"
#include "support/philox.h"
#include "support/say.h"

namespace gradc {
namespace {

constexpr double kStep = 1e-5; // truncation error about 1e-10, rounding about 1e-11

struct GradcheckFlags {
  ModelFlags model;
  ArgumentFlags arguments;
  std::string function = "loss", wrt;
  int64_t samples = 8;
  Tolerance tolerance{1e-6, 1e-8};
};

/// What was found for one value.
struct Report {
  std::string name;
  int64_t samples = 0, notSmooth = 0, wrong = 0;
  double largest = 0; // error of a sample
  std::string firstWrong;
};

class GradientCheck {
public:
  GradientCheck(const Module &module, const Function &fn, const Function &grad, std::vector<Tensor> arguments,
                const GradcheckFlags &flags)
      : module_(module), fn_(fn), arguments_(std::move(arguments)), flags_(flags),
        gradients_(interpret(module, grad, arguments_)) {}

  /// Result `result` of the gradient function is the gradient of argument `argument`.
  Report check(size_t argument, size_t result) {
    const Tensor &gradient = gradients_[result];
    Report report{fn_[fn_.body().args[argument]].name};
    int64_t elements = gradient.elements(), samples = std::min(flags_.samples, elements);
    for (int64_t s = 0; s < samples; ++s) {
      uint64_t bits =
          randomBits(flags_.arguments.seed, streamHash("gradc gradcheck"), argument, uint64_t(s))[0];
      bool all = samples == elements;
      checkElement(argument, gradient, all ? s : static_cast<int64_t>(bits % uint64_t(elements)), report);
    }
    return report;
  }

private:
  double evaluate(size_t argument, int64_t element, double value) {
    double former = arguments_[argument].get(element);
    arguments_[argument].set(element, value);
    double loss = interpret(module_, fn_, arguments_)[0].get(0);
    arguments_[argument].set(element, former);
    return loss;
  }

  struct Slopes {
    double left, right;
    double central() const { return (left + right) / 2; }
    double jump() const { return std::abs(right - left); }
  };

  Slopes slopes(size_t argument, int64_t element, double step) {
    double x = arguments_[argument].get(element), here = evaluate(argument, element, x);
    return {(here - evaluate(argument, element, x - step)) / step,
            (evaluate(argument, element, x + step) - here) / step};
  }

  /// Whether the slope jumps at the element (a kink of relu or max), so that a difference says nothing there: the
  /// slopes differ with the step, or those of the two sides do not come together as it shrinks.
  bool isKink(size_t argument, int64_t element, const Slopes &far, double error) {
    Slopes near = slopes(argument, element, kStep / 4);
    bool moves = std::abs(near.central() - far.central()) > error / 10;
    return moves || (near.jump() > error / 2 && near.jump() > far.jump() / 2);
  }

  void checkElement(size_t argument, const Tensor &gradient, int64_t element, Report &report) {
    Slopes slope = slopes(argument, element, kStep);
    double got = gradient.get(element), want = slope.central(), error = std::abs(got - want);
    bool good =
        error <= flags_.tolerance.absolute + flags_.tolerance.relative * std::abs(want); // false for NaN
    if (!good && std::isfinite(error) && isKink(argument, element, slope, error)) {
      ++report.notSmooth;
      return;
    }
    ++report.samples;
    report.largest = std::max(report.largest, error);
    if (good)
      return;
    ++report.wrong;
    if (report.firstWrong.empty())
      report.firstWrong = fmt::format("at [{}]: gradient {}, difference quotient {}",
                                      fmt::join(unflatten(gradient.type().shape, element), ","), got, want);
  }

  const Module &module_;
  const Function &fn_;
  std::vector<Tensor> arguments_;
  const GradcheckFlags &flags_;
  std::vector<Tensor> gradients_;
};

/// Weights of about the size that initialisers give, so that nothing saturates; labels 0 and 1, which every
/// classifier has (a label outside its classes has no loss to differentiate).
void tameArguments(const Function &fn, std::vector<Tensor> &arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const ValueData &arg = fn[fn.body().args[i]];
    for (int64_t k = 0; arg.type.dtype == DType::I32 && k < arguments[i].elements(); ++k)
      arguments[i].setInt(k, arguments[i].getInt(k) % 2);
    if (!arg.attrs.has("var") || arg.type.rank() < 2)
      continue;
    double fanIn = static_cast<double>(arg.type.elements() / arg.type.shape[0]);
    for (int64_t k = 0; k < arguments[i].elements(); ++k)
      arguments[i].set(k, arguments[i].get(k) / std::sqrt(fanIn));
  }
}

/// The module in f64, with the gradient function beside the function.
std::optional<Module> differentiate(const Module &module, const GradcheckFlags &flags, ExitCode &exit) {
  Module wide = retypeToF64(module);
  std::string wrt = flags.wrt.empty() ? "" : fmt::format(",wrt=[{}]", flags.wrt);
  Diagnostics diag;
  Result<Pipeline> pipeline = parsePipeline(fmt::format("autodiff{{of=@{}{}}}", flags.function, wrt), diag);
  bool good = pipeline && PassManager({}).run(wide, *pipeline, diag);
  exit = finish(diag);
  if (!good)
    return std::nullopt;
  return wide;
}

/// Which argument each gradient belongs to; -1 for values that are no arguments.
int argumentOf(const Function &fn, const Attr &grad) {
  const std::vector<ValueId> &args = fn.body().args;
  for (size_t i = 0; i < args.size(); ++i) {
    const SymbolRef *variable = variableOf(fn[args[i]].attrs);
    if ((variable && Attr(*variable) == grad) ||
        (grad.as<std::string>() && *grad.as<std::string>() == fn[args[i]].name))
      return static_cast<int>(i);
  }
  return -1;
}

void print(const Report &report) {
  say("%{}: {} samples, largest error {:.1e}{}{}\n", report.name, report.samples, report.largest,
      report.notSmooth ? fmt::format(", {} left out at kinks", report.notSmooth) : "",
      report.wrong ? fmt::format(", {} WRONG: {}", report.wrong, report.firstWrong) : "");
}

ExitCode runGradcheck(GradcheckFlags &flags) {
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module =
      loadModule(flags.model, flags.model.overrides.batchSize.value_or(2), Purpose::Training, exit);
  if (!module || !chooseFunction(*module, flags.function, exit))
    return exit;
  std::optional<Module> wide = differentiate(*module, flags, exit);
  if (!wide)
    return exit;
  const Function &fn = *wide->function(flags.function), &grad = *wide->function(flags.function + ".grad");
  bool given = !flags.arguments.weights.empty() || !flags.arguments.inputs.empty();
  if (flags.arguments.fill.empty())
    flags.arguments.fill = "random";
  StatusOr<std::vector<Tensor>> arguments = makeArguments(fn, flags.arguments);
  if (!arguments)
    return fail(arguments.error());
  if (!given)
    tameArguments(fn, *arguments);

  GradientCheck check(*wide, fn, grad, std::move(*arguments), flags);
  int64_t samples = 0, wrong = 0;
  for (size_t i = 0; i < grad.resultAttrs.size(); ++i) {
    const Attr *of = grad.resultAttrs[i].find("grad");
    int argument = of ? argumentOf(fn, *of) : -1;
    if (argument < 0)
      continue;
    Report report = check.check(static_cast<size_t>(argument), i);
    print(report);
    samples += report.samples;
    wrong += report.wrong;
  }
  say("{} of {} samples agree\n", samples - wrong, samples);
  return wrong ? ExitCode::Mismatch : ExitCode::Ok;
}

Options gradcheckOptions(GradcheckFlags &flags) {
  return {
      {.name = "--func",
       .target = &flags.function,
       .doc = "The function whose first result is differentiated (default: loss)"},
      {.name = "--wrt",
       .target = &flags.wrt,
       .doc = "Values, as '@conv1.weight,%image' (default: every trainable parameter)"},
      {.name = "--samples",
       .target = &flags.samples,
       .doc = "Elements of each value (default: 8)",
       .least = 1,
       .most = int64_t{1} << 30},
      {.name = "--rtol", .target = &flags.tolerance.relative, .doc = "Relative tolerance (default: 1e-6)"},
      {.name = "--atol", .target = &flags.tolerance.absolute, .doc = "Absolute tolerance (default: 1e-8)"}};
}

} // namespace

Command gradcheckCommand() {
  auto flags = std::make_shared<GradcheckFlags>();
  return {.name = "gradcheck",
          .doc = "Compare a model's gradients with finite differences, in f64",
          .options =
              modelOptions(flags->model) + gradcheckOptions(*flags) + argumentOptions(flags->arguments),
          .run = [flags] {
            flags->arguments.seed = flags->model.overrides.seed.value_or(0);
            return runGradcheck(*flags);
          }};
}

} // namespace gradc
