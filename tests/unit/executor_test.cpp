#include "runtime/executor.h"

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

using namespace gradc;

namespace {

// doubled = 2 · x, in 16-float items; then sum over everything, by one item, with scratch.
void twice(const gradc_ctx *, void *const *buffers, int64_t begin, int64_t end) {
  const float *x = static_cast<const float *>(buffers[0]);
  float *y = static_cast<float *>(buffers[1]);
  for (int64_t i = begin * 16; i < end * 16; ++i)
    y[i] = 2 * x[i];
}

void addTo(const gradc_ctx *ctx, void *const *buffers, int64_t, int64_t) {
  const float *x = static_cast<const float *>(buffers[0]);
  float *total = static_cast<float *>(ctx->scratch);
  *total = *static_cast<const float *>(buffers[2]);
  for (int64_t i = 0; i < 256; ++i)
    *total += x[i];
  *static_cast<float *>(buffers[1]) += *total;
}

const gradc_port kVars[] = {{.name = "sum", .layout = "", .dtype = 0, .rank = 0, .bytes = 4}};
const gradc_port kArgs[] = {
    {.name = "x", .layout = "", .dtype = 0, .rank = 1, .shape = {256}, .bytes = 1024}};
const gradc_port kResults[] = {
    {.name = "y", .layout = "", .dtype = 0, .rank = 1, .shape = {256}, .bytes = 1024}};
const float kConstants[] = {0, 0.5f};
const gradc_ref kRefs[] = {
    {GRADC_SPACE_ARGUMENT, 0, 0}, {GRADC_SPACE_ARENA, 0, 64}, {GRADC_SPACE_ARENA, 0, 64},
    {GRADC_SPACE_RESULT, 0, 0},   {GRADC_SPACE_ARENA, 0, 64}, {GRADC_SPACE_VAR, 0, 0},
    {GRADC_SPACE_CONSTANT, 0, 4},
};
const gradc_step kSteps[] = {
    {.kernel = twice, .name = "a", .first_ref = 0, .num_refs = 2, .items = 16, .scratch_bytes = 0, .work = 0},
    {.kernel = twice,
     .name = "b",
     .first_ref = 2,
     .num_refs = 2,
     .items = 16,
     .scratch_bytes = 0,
     .work = 1e-7},
    {.kernel = addTo, .name = "c", .first_ref = 4, .num_refs = 3, .items = 1, .scratch_bytes = 4, .work = 0},
};
const gradc_program kProgram = {.name = "test",
                                .steps = kSteps,
                                .refs = kRefs,
                                .vars = kVars,
                                .args = kArgs,
                                .results = kResults,
                                .constants = kConstants,
                                .num_steps = 3,
                                .num_vars = 1,
                                .num_args = 1,
                                .num_results = 1,
                                .arena_bytes = 1088,
                                .scratch_bytes = 4,
                                .constant_bytes = 8};

TEST(Executor, RunsStepsInOrderOverEverySpace) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    Workspace workspace;
    ASSERT_TRUE(workspace.reserve(kProgram, pool).ok());
    Executor executor(kProgram, pool, workspace);
    std::vector<float> x(256, 1.0f), y(256, 0.0f);
    float sum = 10;
    executor.bindVar(executor.findVar("sum"), &sum);
    executor.bindArg(executor.findArg("x"), x.data());
    executor.bindResult(executor.findResult("y"), y.data());
    executor.run();
    EXPECT_EQ(y[0], 4.0f);
    EXPECT_EQ(y[255], 4.0f);
    EXPECT_EQ(sum, 10 + 512 + 0.5f);
    executor.run(); // a variable keeps its value between runs
    EXPECT_EQ(sum, 10 + 2 * (512 + 0.5f));
  }
}

TEST(Executor, RebindingAndProfiling) {
  ThreadPool pool(2);
  Workspace workspace;
  ASSERT_TRUE(workspace.reserve(kProgram, pool).ok());
  Executor executor(kProgram, pool, workspace);
  std::vector<float> x(256, 1.0f), other(256, 3.0f), y(256);
  float sum = 0;
  executor.bindVar(0, &sum);
  executor.bindArg(0, x.data());
  executor.bindResult(0, y.data());
  executor.setProfiling(true);
  executor.run();
  executor.bindArg(0, other.data());
  executor.run();
  EXPECT_EQ(y[7], 12.0f);
  ASSERT_EQ(executor.profile().size(), 3u);
  EXPECT_EQ(executor.profile()[0].runs, 2);
  EXPECT_GT(executor.profile()[2].seconds, 0);
  EXPECT_LE(executor.profile()[2].fastest, executor.profile()[2].seconds);
  EXPECT_EQ(executor.findArg("nothing"), -1);
}

TEST(Executor, WorkspaceGrowsForALargerProgramAndIsAligned) {
  ThreadPool pool(3);
  Workspace workspace;
  ASSERT_TRUE(workspace.reserve(kProgram, pool).ok());
  gradc_program large = kProgram;
  large.arena_bytes = 5 << 20;
  large.scratch_bytes = 100'000;
  ASSERT_TRUE(workspace.reserve(large, pool).ok());
  EXPECT_EQ(workspace.arenaBytes(), 5 << 20);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(workspace.arena()) % 64, 0u);
  for (int worker = 0; worker < 3; ++worker)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(workspace.context(worker).scratch) % 64, 0u);
}

} // namespace
