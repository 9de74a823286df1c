#include "ir/rules.h"
#include "support/philox.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  constexpr std::string_view names[] = {"seed", "step", "row0"};
  for (size_t i = 0; i < 3; ++i)
    if (args.operands[i].dtype != DType::I64 || args.operands[i].rank() != 0)
      return refuse("{} must be i64[] but is {}", names[i], toString(args.operands[i]));
  std::vector<int64_t> shape = args.attrs.ints("shape");
  GRADC_REFUSE(notAShape("shape", shape));
  Type result{*args.attrs.find("dtype")->as<DType>(), Shape(shape), {}};
  GRADC_REFUSE(notFloat("the result", result));
  return Types{result};
}

void eval(const EvalArgs &args) {
  Tensor &y = args.results[0];
  auto operand = [&](int i) { return static_cast<uint64_t>(args.operands[i]->getInt(0)); };
  const Shape &shape = y.type().shape;
  const uint64_t rowSize = shape.rank() == 0 ? 1 : shape.elements() / shape[0];
  const uint64_t hash = streamHash(args.attrs.str("stream"));
  for (int64_t i = 0; i < y.elements(); ++i) {
    const uint64_t row = operand(2) + i / rowSize, column = i % rowSize;
    const uint64_t group = row * randomGroups(rowSize) + column / kPhiloxWords;
    y.set(i, uniformFromBits(randomBits(operand(0), hash, operand(1), group)[column % kPhiloxWords]));
  }
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(random_uniform) {
  static const OpDef rows[] = {
      {.name = "random_uniform",
       .doc = "uniform in [0, 1), multiples of 2^-24: Philox4x32-10 of seed, stream, step and the element's "
              "index, where row0 is the number of the first row (support/philox.h has it to the bit)",
       .operands = {{"seed"}, {"step"}, {"row0"}},
       .attrs = {{.name = "stream",
                  .kind = AttrKind::String,
                  .doc = "names an independent sequence",
                  .required = true},
                 {.name = "shape",
                  .kind = AttrKind::Ints,
                  .doc = "shape of the result",
                  .required = true,
                  .min = 1},
                 {.name = "dtype",
                  .kind = AttrKind::DType,
                  .doc = "f32 or f64: the same values",
                  .defaultValue = DType::F32}},
       .traits = kCheap,
       .infer = ops::infer,
       .eval = ops::eval,
       .notDifferentiable = "its operands are integers"},
  };
  return rows;
}
