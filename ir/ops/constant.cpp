// Values that come from no operand.
#include "ir/rules.h"

namespace gradc::ops {
namespace {

// The type of a @symbol's value is its declaration's: parser and verifier know it, the rule does not.
Rule<Types> constantInfer(const InferArgs &args) {
  const Attr &value = *args.attrs.find("value");
  if (const Dense *dense = value.as<Dense>())
    return Types{(*dense)->type()};
  return refuse("the type of {} must be written", toString(value));
}

void constantEval(const EvalArgs &args) { args.results[0] = **args.attrs.find("value")->as<Dense>(); }

Rule<Types> iotaInfer(const InferArgs &args) {
  std::vector<int64_t> shape = args.attrs.ints("shape");
  GRADC_REFUSE(notAShape("shape", shape));
  Type result{*args.attrs.find("dtype")->as<DType>(), Shape(shape), {}};
  GRADC_REFUSE(notAnAxis(args.attrs.i64("axis"), "the result", result));
  if (!isArithmetic(result.dtype))
    return refuse("dtype must be f32, f64, i32 or i64 but is {}", dtypeName(result.dtype));
  return Types{result};
}

void iotaEval(const EvalArgs &args) {
  int64_t axis = args.attrs.i64("axis");
  forEachIndex(args.results[0].type().shape, [&](std::span<const int64_t> index, int64_t linear) {
    args.results[0].setInt(linear, index[axis]);
  });
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(constant) {
  static const OpDef rows[] = {
      {.name = "constant",
       .doc = "a literal",
       .operands = {},
       .attrs = {{.name = "value",
                  .kind = AttrKind::Dense,
                  .doc = "the elements, or the @name of a module's constant",
                  .required = true}},
       .infer = constantInfer,
       .eval = constantEval,
       .notDifferentiable = "it has no operands"},
      {.name = "iota",
       .doc = "each element is its index along a dimension",
       .operands = {},
       .attrs = {{.name = "shape",
                  .kind = AttrKind::Ints,
                  .doc = "shape of the result",
                  .required = true,
                  .min = 1},
                 {.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension that is counted",
                  .defaultValue = int64_t{0},
                  .min = 0,
                  .max = kMaxRank - 1},
                 {.name = "dtype",
                  .kind = AttrKind::DType,
                  .doc = "element type: f32, f64, i32 or i64",
                  .defaultValue = DType::I32}},
       .traits = kCheap,
       .infer = iotaInfer,
       .eval = iotaEval,
       .notDifferentiable = "it has no operands"},
  };
  return rows;
}
