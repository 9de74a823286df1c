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

using Shared = std::vector<bool>;

constexpr std::string_view kProductAndKernel = R"(
func @f(%x: f32[64,784] {input}, %w: f32[784,784]) -> f32[64,784] {
  %y = kernel(%x, %w) {kind = contract} {
    ^(%a: f32[64,784], %b: f32[784,784]):
      %c = matmul(%a, %b) : f32[64,784]
      yield %c
  } : f32[64,784]
  %z = kernel(%y) {kind = map} {
    ^(%a: f32[64,784]):
      %b = neg(%a) : f32[64,784]
      yield %b
  } : f32[64,784]
  return %z
}
)";

Shared shared(double first, double second, bool divisible = true, std::string_view text = kTwoKernels) {
  Diagnostics diag;
  const Result<Module> module = parseModule(text, "f.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->function("f");
  const KernelTime times[] = {{fn.body().ops[0], first}, {fn.body().ops[1], second, divisible}};
  return sharedKernels(fn, times);
}

// Half of 200 KB take 7 us to fetch.
TEST(SplitChoice, AKernelStaysWithTheOneThatReadsIt) {
  EXPECT_EQ(shared(5e-6, 1e-6), (Shared{false, false}));
  EXPECT_EQ(shared(50e-6, 1e-6, false),
            (Shared{true, false})); // 25 us saved, and nothing to share out behind it
  EXPECT_EQ(shared(1e-6, 1e-6), (Shared{false, false}));
}

TEST(SplitChoice, EachThreadReadsWhatItWrote) {
  EXPECT_EQ(shared(5e-6, 5e-6), (Shared{true, true}));
  EXPECT_EQ(shared(50e-6, 1e-6), (Shared{true, true})); // short as it is
}

// Each thread has written columns of all examples.
TEST(SplitChoice, WhatAProductWroteIsFetchedInAnyCase) {
  EXPECT_EQ(shared(50e-6, 3e-6, true, kProductAndKernel), (Shared{true, false}));
  EXPECT_EQ(shared(50e-6, 5e-6, true, kProductAndKernel), (Shared{true, true}));
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
