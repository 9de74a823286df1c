// Ops that passes make. A kernel means its region inlined: its results are what the region yields, so parser and
// verifier take its types from there, and the interpreter runs the region.
#include "ir/layout.h"
#include "ir/rules.h"

namespace gradc::ops {
namespace {

Rule<Types> relayoutInfer(const InferArgs &args) {
  Type result = args.operands[0];
  std::string word = args.attrs.str("layout");
  result.layout = word == "row_major" ? "" : word;
  GRADC_REFUSE(checkLayout(result));
  return Types{result};
}

void relayoutEval(const EvalArgs &args) {
  for (int64_t i = 0; i < args.results[0].elements(); ++i)
    copyElement(args.results[0], i, *args.operands[0], i);
}

Rule<Types> kernelInfer(const InferArgs &) {
  return refuse("a kernel's types are those that its region yields");
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(structural) {
  static const OpDef rows[] = {
      {.name = "relayout",
       .doc = "the same value, stored in another layout",
       .operands = {{"x"}},
       .attrs = {{.name = "layout",
                  .kind = AttrKind::Keyword,
                  .doc = "the layout of the result",
                  .required = true,
                  .keywords = {"row_major", kLayoutN16}}},
       .traits = kMovement | kStructural,
       .infer = relayoutInfer,
       .eval = relayoutEval,
       .notDifferentiable = "layouts are chosen after differentiation"},
      {.name = "kernel",
       .doc = "ops that run as one kernel: means its region with the operands as arguments",
       .operands = {{.name = "operands", .variadic = true}},
       .attrs = {{.name = "kind",
                  .kind = AttrKind::Keyword,
                  .doc = "shape of the generated loops",
                  .required = true,
                  .keywords = {"map", "rows", "contract", "multi", "pair"}},
                 {.name = "schedule",
                  .kind = AttrKind::Dict,
                  .doc = "loop structure, from the schedule pass"},
                 {.name = "launch",
                  .kind = AttrKind::I64,
                  .doc = "kernels with one number run at once, from the launches pass",
                  .min = 0},
                 {.name = "place",
                  .kind = AttrKind::Any,
                  .doc = "for each result its place in memory, from the "
                         "plan-memory pass"},
                 {.name = "scratch",
                  .kind = AttrKind::I64,
                  .doc = "bytes of scratch memory for each worker",
                  .min = 0}},
       .traits = kStructural,
       .numResults = -1,
       .numRegions = 1,
       .infer = kernelInfer,
       .notDifferentiable = "kernels are made after differentiation"},
  };
  return rows;
}
