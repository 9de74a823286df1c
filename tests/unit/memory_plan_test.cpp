// The memory of whole models: the arena is hardly larger than what must be in it at once, and what `gradc check`
// announces is what a program's table asks for.
#include <algorithm>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "codegen/program.h"
#include "driver/memory_plan.h"
#include "driver/plan_model.h"
#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {
namespace {

std::vector<std::string> benchModels() {
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(GRADC_SOURCE_DIR "/bench/models"))
    if (entry.path().extension() == ".json")
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

CpuTarget nativeTarget() { return *parseCpuTarget("native"); }

Module planned(const LoadedModel &model) {
  Diagnostics diag;
  Result<Module> module =
      planModel(model, ProgramKind::TrainStep, model.train.batchSize, nativeTarget(), {}, diag);
  EXPECT_TRUE(module) << diag.render();
  return std::move(*module);
}

/// The bytes of the arena that hold a value which is still read, at the moment when there are most: places of an
/// in-place result and its operand, and of views, count once.
int64_t largestLiveSet(const Function &fn) {
  struct Range {
    int64_t begin, end, first, last;
  };
  const std::vector<std::optional<Place>> places = placesOfValues(fn);
  const auto moments = static_cast<int64_t>(fn.body().ops.size());
  std::map<ValueId, Range> ranges;
  for (int64_t now = 0; now < moments; ++now) {
    const OpData &op = fn[fn.body().ops[now]];
    for (ValueId v : op.operands)
      if (auto it = ranges.find(v); it != ranges.end())
        it->second.last = now;
    for (ValueId v : op.results)
      if (const Place &place = *places[index(v)]; place.space == Place::Space::Arena)
        ranges[v] = {place.number, place.number + storageBytes(fn.type(v)), now, now};
  }
  int64_t largest = 0;
  for (int64_t now = 0; now < moments; ++now) {
    std::vector<std::pair<int64_t, int64_t>> live;
    for (const auto &[v, range] : ranges)
      if (range.first <= now && now <= range.last)
        live.emplace_back(range.begin, range.end);
    std::ranges::sort(live);
    int64_t bytes = 0, covered = 0;
    for (const auto &[begin, end] : live) {
      bytes += std::max<int64_t>(0, end - std::max(begin, covered));
      covered = std::max(covered, end);
    }
    largest = std::max(largest, bytes);
  }
  return largest;
}

TEST(MemoryPlan, ArenaIsHardlyLargerThanTheLargestLiveSet) {
  for (const std::string &file : benchModels()) {
    ExitCode exit = ExitCode::Ok;
    std::optional<LoadedModel> model = loadModelFile({.file = file}, exit);
    ASSERT_TRUE(model) << file;
    const Module module = planned(*model);
    const Function &fn = *module.function("train_step");
    const int64_t arena = fn.attrs.i64(kArenaAttr), live = largestLiveSet(fn);
    EXPECT_GE(arena, live) << file;
    EXPECT_LE(static_cast<double>(arena), 1.1 * static_cast<double>(live)) << file;
  }
}

TEST(MemoryPlan, WhatIsAnnouncedIsWhatTheProgramAsksFor) {
  for (const char *name : {"logreg", "lenet"}) {
    ExitCode exit = ExitCode::Ok;
    std::optional<LoadedModel> model =
        loadModelFile({.file = fmt::format(GRADC_SOURCE_DIR "/bench/models/{}.json", name)}, exit);
    ASSERT_TRUE(model) << name;
    Diagnostics diag;
    const Result<MemoryPlan> plan = planTrainingMemory(*model, nativeTarget(), diag);
    ASSERT_TRUE(plan) << diag.render();
    const Module module = planned(*model);
    const ObjectCache cache = ObjectCache::open(GRADC_TEST_CACHE);
    auto program =
        compileProgram(module, *module.function("train_step"), {.target = nativeTarget(), .cache = &cache});
    ASSERT_TRUE(program);
    const gradc_program &table = (*program)->program();
    EXPECT_EQ(table.arena_bytes, plan->arena) << name;
    EXPECT_EQ(table.scratch_bytes, plan->scratch) << name;
    int64_t variables = 0, batch = 0;
    for (int64_t i = 0; i < table.num_vars; ++i)
      variables += table.vars[i].bytes;
    for (int64_t i = 0; i < table.num_args; ++i)
      batch += table.args[i].bytes;
    for (int64_t i = 0; i < table.num_results; ++i)
      batch += table.results[i].bytes;
    EXPECT_EQ(variables, plan->variables()) << name;
    EXPECT_EQ(batch, plan->batch) << name;
  }
}

} // namespace
} // namespace gradc
