// Which kernels stay with one thread because what they write is read by one.
#include "codegen/split_choice.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "codegen/program.h"
#include "driver/load_model.h"
#include "driver/plan_model.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace gradc {
namespace {

constexpr std::string_view kTwoKernels = R"(
func @f(%x: f32[64,784] {input}) -> f32[64,784] {
  %y = kernel(%x) {kind = map} {
    ^(%a: f32[64,784]):
      %b = relu(%a) : f32[64,784]
      yield %b
  } : f32[64,784]
  %z = kernel(%y) {kind = map} {
    ^(%a: f32[64,784]):
      %b = neg(%a) : f32[64,784]
      yield %b
  } : f32[64,784]
  return %z
}
)";

std::vector<bool> kept(double first, double second) {
  Diagnostics diag;
  const Result<Module> module = parseModule(kTwoKernels, "f.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->function("f");
  const KernelTime times[] = {{fn.body().ops[0], first}, {fn.body().ops[1], second}};
  return keptByOneThread(fn, times);
}

TEST(SplitChoice, AKernelStaysWithTheOneThatReadsIt) {
  using Kept = std::vector<bool>;
  EXPECT_EQ(kept(5e-6, 1e-6), (Kept{true, false}));   // half of 200 KB take 7 us to fetch
  EXPECT_EQ(kept(5e-6, 5e-6), (Kept{false, false}));  // both are shared: each thread reads what it wrote
  EXPECT_EQ(kept(50e-6, 1e-6), (Kept{false, false})); // 25 us saved
  EXPECT_EQ(kept(1e-6, 1e-6), (Kept{false, false}));  // the pool does not share them anyhow
}

int64_t sharedSteps(const std::string &model) {
  ExitCode exit = ExitCode::Ok;
  const std::optional<LoadedModel> loaded =
      loadModelFile({.file = GRADC_SOURCE_DIR "/bench/models/" + model + ".json"}, exit);
  EXPECT_TRUE(loaded);
  Diagnostics diag;
  const CpuTarget target = *parseCpuTarget("native");
  const Result<Module> module =
      planModel(*loaded, ProgramKind::TrainStep, loaded->train.batchSize, target, {}, diag);
  EXPECT_TRUE(module) << diag.render();
  const auto program = compileProgram(*module, *module->function("train_step"), {.target = target});
  EXPECT_TRUE(program);
  const gradc_program &table = (*program)->program();
  return std::count_if(table.steps, table.steps + table.num_steps,
                       [](const gradc_step &step) { return ThreadPool::isShared(step.items, step.work); });
}

TEST(SplitChoice, TheBenchmarksModels) {
  EXPECT_EQ(sharedSteps("logreg"), 0);
  EXPECT_GE(sharedSteps("mlp"), 6); // the products and what feeds them
}

} // namespace
} // namespace gradc
