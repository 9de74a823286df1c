#include "driver/plan_function.h"

#include <algorithm>

#include "driver/load_module.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "passes/pipeline.h"

namespace gradc {
namespace {

bool hasKernels(const Function &fn) {
  return std::ranges::any_of(fn.body().ops, [&](OpId op) { return fn[op].def->name == "kernel"; });
}

OpId findPair(const Function &fn) {
  for (OpId op : fn.body().ops)
    if (fn[op].def->name == "kernel" && fn[op].attrs.str("kind") == "pair")
      return op;
  return kNoOp;
}

} // namespace

std::optional<Source> chooseSource(const Module &module, const std::string &entry,
                                   const std::string &function, ExitCode &exit) {
  const bool step = entry == "train-step";
  if (step && !module.function("train_step")) {
    if (module.function("loss"))
      return Source{"loss", true};
    (void)chooseFunction(module, "loss", exit);
    return std::nullopt;
  }
  const Function *fn = chooseFunction(module, step ? "train_step" : entry.empty() ? function : entry, exit);
  return fn ? std::optional(Source{fn->name, false}) : std::nullopt;
}

Result<void> planFunction(Module &module, std::string_view function, bool train, std::string_view stage,
                          const CodeTarget &target, PassManager &manager, Diagnostics &diag,
                          const CompileFlags &flags) {
  std::erase_if(module.functions, [&](const auto &other) { return other->name != function; });
  const Function &fn = *module.function(function);
  if (const OpId pair = findPair(fn); pair != kNoOp && std::holds_alternative<CudaTarget>(target))
    return std::unexpected(diag.error(fn[pair].loc,
                                      "kernels of kind pair are for processors, but the target is a CUDA "
                                      "device; plan the function with --disable-pass pair, which leaves both "
                                      "products by themselves"));
  if (isPlanned(fn))
    return {};
  PipelineOptions options = pipelineOptions(target, train, flags.precision);
  options.pack = train && flags.pack;
  Pipeline pipeline = buildPipeline(options);
  if (hasKernels(fn)) {
    auto fuse = std::ranges::find(pipeline, "fuse", [](const PassUse &use) { return use.def->name; });
    pipeline.erase(pipeline.begin(), fuse + 1);
  }
  if (!stage.empty()) {
    Pipeline part = upTo(pipeline, stage);
    if (part.empty())
      return std::unexpected(diag.error({}, "the pipeline has no pass '{}'", stage));
    pipeline = part;
  }
  return manager.run(module, pipeline, diag);
}

} // namespace gradc
