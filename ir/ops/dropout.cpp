#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> infer(const InferArgs &args) {
  const Type &x = args.operands[0], &rate = args.operands[1];
  GRADC_REFUSE(notFloat("x", x));
  if (rate.dtype != x.dtype || rate.rank() != 0)
    return refuse("x is {} but rate is {}, which must be {}[]", toString(x), toString(rate),
                  dtypeName(x.dtype));
  constexpr std::string_view names[] = {"seed", "step", "row0"};
  for (size_t i = 0; i < 3; ++i)
    if (const Type &type = args.operands[i + 2]; type.dtype != DType::I64 || type.rank() != 0)
      return refuse("{} must be i64[] but is {}", names[i], toString(type));
  return oneType(x.dtype, x.shape);
}

// An element stays where its random number is not below the rate. The random bits are computed again in the
// backward pass rather than stored.
std::vector<ValueId> expand(ExpandArgs &args) {
  Builder &b = args.b;
  ValueId x = args.operands[0], rate = args.operands[1];
  const Type type = b.type(x), scalar = b.type(rate);
  ValueId random =
      b.create("random_uniform", {args.operands[2], args.operands[3], args.operands[4]},
               {{"stream", args.attrs.str("stream")}, {"shape", type.shape}, {"dtype", type.dtype}});
  ValueId stays = b.create("ge", {random, b.broadcast(rate, type.shape, {})});
  ValueId one = b.splat(scalar, 1);
  ValueId scale = b.broadcast(b.div(one, b.sub(one, rate)), type.shape, {});
  return {b.select(stays, b.mul(x, scale), b.zeros(type))};
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(dropout) {
  static const OpDef rows[] = {
      {.name = "dropout",
       .doc = "sets each element to 0 with probability rate and scales the others by 1 / (1 - rate)",
       .operands = {{"x"}, {"rate"}, {"seed"}, {"step"}, {"row0"}},
       .attrs = {{.name = "stream",
                  .kind = AttrKind::String,
                  .doc = "names an independent random sequence",
                  .required = true}},
       .infer = ops::infer,
       .expand = ops::expand},
  };
  return rows;
}
