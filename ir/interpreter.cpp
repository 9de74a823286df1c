#include "ir/interpreter.h"

#include <optional>

#include "ir/op.h"
#include "support/check.h"

namespace gradc {

namespace {

/// Integer elementwise ops wrap, so they cannot go through double.
int64_t evaluateInt(const ScalarProgram &program, std::span<const int64_t> operands) {
  int64_t values[64];
  CHECK(program.nodes.size() <= std::size(values));
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode &node = program.nodes[i];
    auto arg = [&](int k) { return node.args[k] >= 0 ? values[node.args[k]] : 0; };
    auto wrap = [](uint64_t value) { return static_cast<int64_t>(value); };
    uint64_t a = static_cast<uint64_t>(arg(0)), b = static_cast<uint64_t>(arg(1));
    switch (node.leaf) {
    case Leaf::Operand: values[i] = operands[node.number]; break;
    case Leaf::Constant: values[i] = static_cast<int64_t>(node.value); break;
    case Leaf::Add: values[i] = wrap(a + b); break;
    case Leaf::Sub: values[i] = wrap(a - b); break;
    case Leaf::Mul: values[i] = wrap(a * b); break;
    case Leaf::Neg: values[i] = wrap(0 - a); break;
    case Leaf::Maximum: values[i] = std::max(arg(0), arg(1)); break;
    case Leaf::Minimum: values[i] = std::min(arg(0), arg(1)); break;
    case Leaf::Abs: values[i] = arg(0) < 0 ? wrap(0 - a) : arg(0); break;
    case Leaf::Sign: values[i] = (arg(0) > 0) - (arg(0) < 0); break;
    case Leaf::Eq: values[i] = arg(0) == arg(1); break;
    case Leaf::Ne: values[i] = arg(0) != arg(1); break;
    case Leaf::Lt: values[i] = arg(0) < arg(1); break;
    case Leaf::Le: values[i] = arg(0) <= arg(1); break;
    case Leaf::Gt: values[i] = arg(0) > arg(1); break;
    case Leaf::Ge: values[i] = arg(0) >= arg(1); break;
    case Leaf::And: values[i] = arg(0) && arg(1); break;
    case Leaf::Or: values[i] = arg(0) || arg(1); break;
    case Leaf::Not: values[i] = !arg(0); break;
    case Leaf::Select: values[i] = arg(0) ? arg(1) : arg(2); break;
    default: CHECK(false, "{} of integers", leafName(node.leaf));
    }
  }
  return values[program.nodes.size() - 1];
}

void evalElementwise(const OpDef &def, const Dict &attrs, std::span<const Tensor *const> operands,
                     Tensor &result) {
  ScalarProgram program = scalarProgram(def, attrs);
  bool integers = true;
  for (const Tensor *operand : operands)
    integers = integers && !isFloat(operand->type().dtype);
  std::vector<double> in(operands.size());
  std::vector<int64_t> intIn(operands.size());
  for (int64_t i = 0, n = result.elements(); i < n; ++i) {
    for (size_t k = 0; k < operands.size(); ++k)
      integers ? void(intIn[k] = operands[k]->getInt(i)) : void(in[k] = operands[k]->get(i));
    if (integers)
      result.setInt(i, evaluateInt(program, intIn));
    else
      result.set(i, evaluate(program, in));
  }
}

/// Runs the ops of a region on an environment of tensors by value id.
class Frame {
public:
  Frame(const Module *module, const Function &fn, const Observer &observe)
      : module_(module), fn_(fn), observe_(observe), values_(fn.numValues()) {}

  void set(ValueId v, Tensor tensor) {
    CHECK(tensor.type().dtype == fn_[v].type.dtype && tensor.type().shape == fn_[v].type.shape,
          "%{} is {} but was given {}", fn_[v].name, toString(fn_[v].type), toString(tensor.type()));
    values_[index(v)] = std::move(tensor);
  }

  std::vector<Tensor> run(RegionId region) {
    const bool body = region == Function::kBody;
    for (OpId op : fn_[region].ops) {
      std::vector<Tensor> results = runOp(op);
      for (size_t i = 0; i < results.size(); ++i) {
        ValueId v = fn_[op].results[i];
        set(v, std::move(results[i]));
        if (body && observe_)
          observe_(v, *values_[index(v)]);
      }
    }
    std::vector<Tensor> yields;
    for (ValueId v : fn_[region].yields)
      yields.push_back(get(v));
    return yields;
  }

private:
  const Tensor &get(ValueId v) const {
    CHECK(values_[index(v)], "%{} is read before it is computed", fn_[v].name);
    return *values_[index(v)];
  }

  std::vector<Tensor> runOp(OpId op) {
    const OpData &data = fn_[op];
    if (!data.regions.empty()) { // a kernel means its body, inlined
      const RegionData &region = fn_[data.regions[0]];
      for (size_t i = 0; i < region.args.size(); ++i)
        set(region.args[i], get(data.operands[i]));
      return run(data.regions[0]);
    }
    if (const SymbolRef *value = data.attrs.symbol("value")) {
      const Constant *constant = module_ ? module_->constant(value->name) : nullptr;
      CHECK(constant, "no constant @{}", value->name);
      return {*constant->value};
    }
    std::vector<const Tensor *> operands;
    for (ValueId v : data.operands)
      operands.push_back(&get(v));
    return evalOp(fn_, op, operands);
  }

  const Module *module_;
  const Function &fn_;
  const Observer &observe_;
  std::vector<std::optional<Tensor>> values_;
};

std::vector<Tensor> runRegion(const Module &module, const Function &fn, RegionId region,
                              std::span<const Tensor> arguments, const Observer &observe) {
  const std::vector<ValueId> &args = fn[region].args;
  CHECK(arguments.size() == args.size(), "@{} takes {} arguments, but got {}", fn.name, args.size(),
        arguments.size());
  Frame frame(&module, fn, observe);
  for (size_t i = 0; i < arguments.size(); ++i)
    frame.set(args[i], arguments[i]);
  return frame.run(region);
}

/// A composite without an eval of its own means its expansion.
std::vector<Tensor> evalByExpansion(const Function &fn, OpId op, std::span<const Tensor *const> operands) {
  const OpData &data = fn[op];
  Function expansion("expansion");
  std::vector<ValueId> args;
  for (size_t i = 0; i < operands.size(); ++i)
    args.push_back(expansion.addArg(Function::kBody, operands[i]->type(), fmt::format("x{}", i)));
  Builder b(expansion);
  Dict attrs = withDefaults(*data.def, data.attrs);
  ExpandArgs expand{b, args, attrs, *data.def, fn[data.results[0]].name};
  expansion.body().yields = data.def->expand(expand);
  Observer none;
  Frame frame(nullptr, expansion, none);
  for (size_t i = 0; i < operands.size(); ++i)
    frame.set(args[i], *operands[i]);
  return frame.run(Function::kBody);
}

} // namespace

std::vector<Tensor> evalOp(const Function &fn, OpId op, std::span<const Tensor *const> operands) {
  const OpData &data = fn[op];
  const OpDef &def = *data.def;
  if (!def.eval && !def.scalar) {
    CHECK(def.expand, "{} has no meaning: no eval, scalar or expand", def.name);
    return evalByExpansion(fn, op, operands);
  }
  std::vector<Tensor> results;
  for (ValueId v : data.results)
    results.emplace_back(fn[v].type);
  if (def.eval)
    def.eval({operands, withDefaults(def, data.attrs), results});
  else
    evalElementwise(def, data.attrs, operands, results[0]);
  return results;
}

std::vector<Tensor> interpretRegion(const Module &module, const Function &fn, RegionId region,
                                    std::span<const Tensor> arguments) {
  const Observer none;
  return runRegion(module, fn, region, arguments, none);
}

std::vector<Tensor> interpret(const Module &module, const Function &fn, std::span<const Tensor> arguments,
                              const Observer &observe) {
  return runRegion(module, fn, Function::kBody, arguments, observe);
}

namespace {

void retype(Type &type) {
  if (isFloat(type.dtype))
    type.dtype = DType::F64;
}

Attr retyped(const Attr &attr) {
  if (const Dense *dense = attr.as<Dense>(); dense && isFloat((*dense)->type().dtype)) {
    Type type = (*dense)->type();
    retype(type);
    Tensor wide(type);
    for (int64_t i = 0; i < wide.elements(); ++i)
      wide.set(i, (*dense)->get(i));
    return Attr(std::move(wide));
  }
  if (const DType *dtype = attr.as<DType>(); dtype && isFloat(*dtype))
    return Attr(DType::F64);
  if (const Type *type = attr.as<Type>()) {
    Type wide = *type;
    retype(wide);
    return Attr(wide);
  }
  return attr;
}

} // namespace

Module retypeToF64(const Module &module) {
  Module wide = module.clone();
  for (Variable &variable : wide.variables)
    retype(variable.type);
  for (Constant &constant : wide.constants)
    constant.value = *retyped(Attr(constant.value)).as<Dense>();
  for (auto &fn : wide.functions) {
    for (size_t i = 0; i < fn->numValues(); ++i)
      retype((*fn)[ValueId{static_cast<uint32_t>(i)}].type);
    for (size_t i = 0; i < fn->numOps(); ++i) {
      OpData &op = (*fn)[OpId{static_cast<uint32_t>(i)}];
      Dict wideAttrs; // with defaults first: an op whose dtype is f32 by default must say f64 now
      for (const auto &[name, value] : withDefaults(*op.def, op.attrs))
        wideAttrs.set(name, retyped(value));
      Rule<Dict> normal = normalizeAttrs(*op.def, wideAttrs);
      CHECK(normal, "{}", normal.error());
      op.attrs = std::move(*normal);
    }
  }
  return wide;
}

} // namespace gradc
