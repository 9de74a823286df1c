// Makes every op that fuse left alone a kernel of its own, so that all later stages see kernels only.
//
//   %y = relu(%x) : f32[64]
// becomes
//   %y = kernel(%x) {kind = map} { ^(%x: f32[64]):
//       %y = relu(%x) : f32[64]
//       yield %y
//   } : f32[64]
//
// Runs right after fuse. Exact.
#include "ir/op.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"

namespace gradc {
namespace {

bool outlineFunction(Function &fn, PassContext &context) {
  const std::vector<OpId> ops = std::exchange(fn.body().ops, {});
  ValueMap map(fn.numValues(), kNoValue);
  for (ValueId arg : fn.body().args)
    map[index(arg)] = arg;
  Builder b(fn);
  int64_t kernels = 0;
  for (OpId op : ops) {
    if (!fn[op].regions.empty()) {
      for (ValueId &v : fn[op].operands)
        v = map[index(v)];
      for (ValueId v : fn[op].results)
        map[index(v)] = v;
      b.append(op);
      continue;
    }
    buildKernel(b, std::span(&op, 1), std::vector(fn[op].results), map);
    ++kernels;
  }
  for (ValueId &v : fn.body().yields)
    v = map[index(v)];
  if (kernels != 0)
    fn.compact();
  context.statistics["kernels of one op"] += kernels;
  return kernels != 0;
}

Result<bool> run(Module &module, PassContext &context) {
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= outlineFunction(*fn, context);
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(outline) {
  return {
      .name = "outline", .doc = "make every remaining op a kernel of its own", .optional = false, .run = run};
}
