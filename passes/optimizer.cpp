// Makes one pure training step out of a gradient function: @loss.grad's parameters and gradients become updated
// parameters. The module says how, in its attribute `optimizer`; the formulas are PyTorch's SGD:
//   g += weight_decay * w;  v = momentum * v + g;  w -= learning_rate * (nesterov ? g + momentum * v : v)
// and, where the parameter has max_norm = c, each unit's incoming weights (all but dimension 0) are scaled back to
// a norm of at most c. Gradients are clipped before that, by value or by their global norm (clip_value, clip_norm).
//
//   module @m {optimizer = {type = sgd, momentum = 0.9}}
//   param @w : f32[4]
//   func @loss.grad(%w: f32[4] {var = @w}, %x: f32[4] {input})
//       -> (f32[] {loss}, f32[4] {grad = @w}) { … return %loss, %w.grad }
// becomes
//   slot @w.momentum : f32[4] {of = @w}
//   func @train_step(%w: f32[4] {var = @w}, %w.momentum: f32[4] {var = @w.momentum}, %x: f32[4] {input},
//                    %learning_rate: f32[] {hyper}, %momentum: f32[] {hyper})
//       -> (f32[4] {var = @w}, f32[4] {var = @w.momentum}, f32[] {loss}) {
//     …
//     %w.momentum~1 = add(mul(broadcast %momentum, %w.momentum), %w.grad)
//     %w~1 = sub(%w, mul(broadcast %learning_rate, %w.momentum~1))
//     return %w~1, %w.momentum~1, %loss
//   }
// A variable on an argument and on a result may be updated in place: plan-memory decides. Numbers that a schedule
// can change are arguments {hyper}. Parameters that are not trained are arguments only.
//
// Runs after autodiff. It consumes the gradient function and the loss function it was made of.
#include <algorithm>

#include "passes/autodiff_util.h"
#include "passes/pass.h"
#include "passes/rewrite_util.h"
#include "support/check.h"

namespace gradc {
namespace {

struct Settings {
  bool momentum = false, nesterov = false, weightDecay = false;
  std::optional<double> clipValue, clipNorm;
};

std::optional<double> number(const Dict &attrs, std::string_view name) {
  const Attr *attr = attrs.find(name);
  if (!attr || !(attr->as<double>() || attr->as<int64_t>()))
    return std::nullopt;
  return attrs.f64(name);
}

Result<Settings> readSettings(const Module &module, Diagnostics &diag) {
  const Attr *attr = module.attrs.find("optimizer");
  const Dict *dict = attr ? attr->as<Dict>() : nullptr;
  if (!dict)
    return std::unexpected(diag.error({}, "the module has no attribute 'optimizer', as in {{type = sgd}}"));
  const std::vector<std::string_view> known = {"type",         "momentum",   "nesterov",
                                               "weight_decay", "clip_value", "clip_norm"};
  for (const auto &[name, value] : *dict)
    if (std::ranges::find(known, name) == known.end())
      return std::unexpected(diag.error({}, "optimizer has no setting '{}'{}", name, proposal(name, known)));
  const Attr *type = dict->find("type");
  if (!type || !(*type == Attr(Keyword{"sgd"})))
    return std::unexpected(
        diag.error({}, "optimizer's type must be sgd, but got {}", type ? toString(*type) : "none"));
  Settings settings{dict->has("momentum"), dict->flag("nesterov"), dict->has("weight_decay"),
                    number(*dict, "clip_value"), number(*dict, "clip_norm")};
  if (settings.nesterov && !settings.momentum)
    return std::unexpected(diag.error({}, "nesterov needs momentum"));
  return settings;
}

/// min(max(g, -bound), bound)
ValueId clipByValue(Builder &b, ValueId g, double bound) {
  const Type type = b.type(g);
  ValueId low = b.create("maximum", {g, b.splat(type, -bound)});
  return b.create("minimum", {low, b.splat(type, bound)});
}

/// min(1, bound / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_; the squares are summed in the gradients' order.
ValueId clipFactor(Builder &b, const std::vector<ValueId> &gradients, double bound) {
  ValueId total = kNoValue;
  for (ValueId g : gradients) {
    std::vector<int64_t> axes;
    for (int axis = 0; axis < b.type(g).rank(); ++axis)
      axes.push_back(axis);
    ValueId squares = b.create("square", {g});
    ValueId sum = axes.empty() ? squares : b.reduceSum(squares, axes);
    total = total == kNoValue ? sum : b.add(total, sum);
  }
  const Type scalar = b.type(total);
  ValueId norm = b.add(b.create("sqrt", {total}), b.splat(scalar, 1e-6));
  return b.create("minimum", {b.div(b.splat(scalar, bound), norm), b.splat(scalar, 1)});
}

/// Emits the update of one parameter after another.
class Update {
public:
  Update(Builder &b, const Settings &settings, const std::vector<ValueId> &hyper)
      : b_(b), settings_(settings) {
    auto next = hyper.begin();
    rate_ = *next++;
    momentum_ = settings.momentum ? *next++ : kNoValue;
    weightDecay_ = settings.weightDecay ? *next++ : kNoValue;
  }

  struct Result {
    ValueId weight, velocity; // velocity: kNoValue without momentum
  };

  Result sgd(const Variable &variable, ValueId w, ValueId g, ValueId v) {
    b_.named(variable.name + ".update");
    g = addWeightDecay(variable, w, g);
    ValueId velocity = kNoValue, direction = g;
    if (settings_.momentum) {
      ValueId decayed = b_.mul(spread(momentum_, v), v);
      velocity = b_.named(variable.name + ".momentum").add(decayed, g);
      b_.named(variable.name + ".update");
      direction = settings_.nesterov ? b_.add(g, b_.mul(spread(momentum_, v), velocity)) : velocity;
    }
    ValueId rate = rate_;
    if (auto factor = number(variable.attrs, "learning_rate"); factor && *factor != 1)
      rate = b_.scale(rate, *factor);
    ValueId delta = b_.mul(spread(rate, w), direction);
    auto maxNorm = number(variable.attrs, "max_norm");
    bool bounded = maxNorm && *maxNorm > 0;
    ValueId updated = b_.named(bounded ? variable.name + ".update" : variable.name).sub(w, delta);
    return {bounded ? boundNorm(variable, updated, *maxNorm) : updated, velocity};
  }

private:
  ValueId spread(ValueId scalar, ValueId like) {
    return b_.broadcast(scalar, Shape(b_.type(like).shape), {});
  }

  ValueId addWeightDecay(const Variable &variable, ValueId w, ValueId g) {
    auto own = number(variable.attrs, "weight_decay");
    if (own ? *own == 0 : !settings_.weightDecay)
      return g;
    ValueId decay = own ? b_.splat(Type(b_.type(w)), *own) : spread(weightDecay_, w);
    return b_.add(g, b_.mul(decay, w));
  }

  /// w * (c / max(|w_unit|, c)): the factor is exactly 1 for units within the bound.
  ValueId boundNorm(const Variable &variable, ValueId w, double bound) {
    const Type type = b_.type(w);
    std::vector<int64_t> axes;
    for (int axis = 1; axis < type.rank(); ++axis)
      axes.push_back(axis);
    ValueId squares = b_.create("square", {w});
    ValueId norm = b_.create("sqrt", {axes.empty() ? squares : b_.reduceSum(squares, axes)});
    ValueId limit = b_.splat(Type(b_.type(norm)), bound);
    ValueId factor = b_.div(limit, b_.create("maximum", {norm, limit}));
    std::vector<int64_t> units(type.rank() > 0 ? 1 : 0, 0);
    return b_.named(variable.name).mul(w, b_.broadcast(factor, type.shape, units));
  }

  Builder &b_;
  Settings settings_;
  ValueId rate_, momentum_, weightDecay_;
};

const Variable *variableOf(const Module &module, const Dict &attrs, std::string_view key) {
  const SymbolRef *symbol = attrs.symbol(key);
  return symbol ? module.variable(symbol->name) : nullptr;
}

/// Builds @train_step from the gradient function.
class StepBuilder {
public:
  StepBuilder(Module &module, const Function &grad, const Settings &settings, std::string name)
      : module_(module), grad_(grad), settings_(settings), step_(module.addFunction(std::move(name))),
        b_(step_), map_(grad.numValues(), kNoValue) {}

  int64_t run() {
    step_.loc = grad_.loc;
    findGradients();
    addArguments();
    for (OpId op : grad_.body().ops)
      cloneOp(grad_, op, b_, map_);
    update();
    addResults();
    return static_cast<int64_t>(trained_.size());
  }

private:
  struct Trained {
    std::string variable;                                 // a name: adding slots moves the declarations
    ValueId gradient;                                     // in grad_
    ValueId weight = kNoValue, velocity = kNoValue;       // arguments of step_
    ValueId newWeight = kNoValue, newVelocity = kNoValue; // results
  };

  void findGradients() {
    for (size_t i = 0; i < grad_.resultAttrs.size(); ++i)
      if (const Variable *variable = variableOf(module_, grad_.resultAttrs[i], "grad"))
        trained_.push_back({variable->name, grad_.body().yields[i]});
  }

  template <class F> void copyArguments(F &&wanted) {
    for (ValueId arg : grad_.body().args) {
      const ValueData &data = grad_[arg];
      if (map_[index(arg)] == kNoValue && wanted(data))
        map_[index(arg)] = step_.addArg(Function::kBody, data.type, data.name, data.attrs, data.loc);
    }
  }

  ValueId addHyper(std::string_view name) {
    return step_.addArg(Function::kBody, Type{DType::F32, {}, {}}, std::string(name), {{"hyper", {}}});
  }

  /// Parameters, slots, buffers, inputs, hyper-parameters (the learning rate first), seed, step, row0.
  void addArguments() {
    auto isKind = [&](VarKind kind) {
      return [this, kind](const ValueData &data) {
        const Variable *variable = variableOf(module_, data.attrs, "var");
        return variable && variable->kind == kind;
      };
    };
    copyArguments(isKind(VarKind::Param));
    addSlots();
    copyArguments(isKind(VarKind::Buffer));
    copyArguments([](const ValueData &data) { return data.attrs.has("input"); });
    hyper_.push_back(addHyper("learning_rate"));
    if (settings_.momentum)
      hyper_.push_back(addHyper("momentum"));
    if (settings_.weightDecay)
      hyper_.push_back(addHyper("weight_decay"));
    copyArguments([](const ValueData &data) { return data.attrs.has("hyper"); });
    copyArguments([](const ValueData &) { return true; });
  }

  void addSlots() {
    for (Trained &trained : trained_) {
      for (ValueId arg : grad_.body().args)
        if (const Variable *variable = variableOf(module_, grad_[arg].attrs, "var");
            variable && variable->name == trained.variable)
          trained.weight = map_[index(arg)];
      if (!settings_.momentum)
        continue;
      Variable slot{VarKind::Slot,
                    trained.variable + ".momentum",
                    module_.variable(trained.variable)->type,
                    {{"of", SymbolRef{trained.variable}}},
                    {}};
      trained.velocity = step_.addArg(Function::kBody, slot.type, slot.name, {{"var", SymbolRef{slot.name}}});
      module_.variables.push_back(std::move(slot));
    }
  }

  std::vector<ValueId> clippedGradients() {
    std::vector<ValueId> gradients;
    b_.named("clip");
    for (const Trained &trained : trained_) {
      ValueId g = map_[index(trained.gradient)];
      gradients.push_back(settings_.clipValue ? clipByValue(b_, g, *settings_.clipValue) : g);
    }
    if (!settings_.clipNorm)
      return gradients;
    ValueId factor = clipFactor(b_, gradients, *settings_.clipNorm);
    for (ValueId &g : gradients)
      g = b_.mul(g, b_.broadcast(factor, Shape(b_.type(g).shape), {}));
    return gradients;
  }

  void update() {
    const std::vector<ValueId> gradients = clippedGradients();
    Update update(b_, settings_, hyper_);
    for (size_t i = 0; i < trained_.size(); ++i) {
      Trained &trained = trained_[i];
      ValueId gradient = gradients[i];
      OpId def = step_[gradient].def;
      b_.at(def == kNoOp ? Location{} : step_[def].loc);
      const Variable variable = *module_.variable(trained.variable);
      auto [weight, velocity] = update.sgd(variable, trained.weight, gradient, trained.velocity);
      trained.newWeight = weight;
      trained.newVelocity = velocity;
    }
  }

  void addResult(ValueId v, Dict attrs) {
    step_.body().yields.push_back(v);
    step_.resultAttrs.push_back(std::move(attrs));
  }

  void addVariable(ValueId v, const std::string &variable) { addResult(v, {{"var", SymbolRef{variable}}}); }

  /// Parameters, slots, then what the loss function gave: buffers, loss, metrics.
  void addResults() {
    for (const Trained &trained : trained_)
      addVariable(trained.newWeight, trained.variable);
    for (const Trained &trained : trained_)
      if (trained.newVelocity != kNoValue)
        addVariable(trained.newVelocity, trained.variable + ".momentum");
    for (bool variables : {true, false})
      for (size_t i = 0; i < grad_.resultAttrs.size(); ++i) {
        const Dict &attrs = grad_.resultAttrs[i];
        if (!attrs.has("grad") && attrs.has("var") == variables)
          addResult(map_[index(grad_.body().yields[i])], attrs);
      }
    step_.body().yieldLoc = grad_.body().yieldLoc;
  }

  Module &module_;
  const Function &grad_;
  Settings settings_;
  Function &step_;
  Builder b_;
  ValueMap map_;
  std::vector<Trained> trained_;
  std::vector<ValueId> hyper_;
};

Result<bool> run(Module &module, PassContext &context) {
  Result<Settings> settings = readSettings(module, context.diag);
  if (!settings)
    return std::unexpected(settings.error());
  const std::string of = context.options.str("of"), name = context.options.str("name");
  const Function *grad = module.function(of);
  if (!grad)
    return std::unexpected(reportNoFunction(module, of, context.diag));
  if (auto checked = checkRowMajor(*grad, context.diag); !checked)
    return std::unexpected(checked.error());
  bool any = std::ranges::any_of(grad->resultAttrs, [](const Dict &attrs) { return attrs.has("grad"); });
  if (!any)
    return std::unexpected(context.diag.error(grad->loc, "@{} has no gradients; run autodiff first", of));
  if (module.function(name))
    return std::unexpected(context.diag.error(grad->loc, "@{} exists already", name));
  context.statistics["parameters updated"] += StepBuilder(module, *grad, *settings, name).run();
  if (const SymbolRef *loss = grad->attrs.symbol("of"))
    module.removeFunction(std::string(loss->name));
  module.removeFunction(of);
  return true;
}

} // namespace
} // namespace gradc

GRADC_PASS(optimizer) {
  return {.name = "optimizer",
          .doc = "turn a gradient function into one training step",
          .options = {{"of", "the gradient function", SymbolRef{"loss.grad"}},
                      {"name", "the new function", SymbolRef{"train_step"}}},
          .exactness = Exactness::Meaning,
          .optional = false,
          .run = run};
}
