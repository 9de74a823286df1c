// The programs of one run agree in where their variables lie.
#include "driver/model_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "driver/aot_programs.h"
#include "driver/load_model.h"

namespace gradc {
namespace {

LoadedModel packedModel() {
  ExitCode exit = ExitCode::Ok;
  std::optional<LoadedModel> model =
      loadModelFile({.file = GRADC_SOURCE_DIR "/tests/lit/train/Inputs/packed.json"}, exit);
  EXPECT_TRUE(model);
  return std::move(*model);
}

const CodeOptions kOptions{.target = *parseCpuTarget("native"), .threads = 2};

/// Names of the variables that a program has in n16.
std::vector<std::string> packed(const gradc_program &program) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < program.num_vars; ++i)
    if (std::string_view(program.vars[i].layout) == "n16")
      names.emplace_back(program.vars[i].name);
  return names;
}

const auto kWeights = testing::UnorderedElementsAre("fc1.weight", "fc2.weight");
const auto kAll =
    testing::UnorderedElementsAre("fc1.weight", "fc1.weight.momentum", "fc2.weight", "fc2.weight.momentum");

TEST(ModelPrograms, TheFirstTrainingStepPacksForAll) {
  const LoadedModel model = packedModel();
  ModelPrograms programs(model, {}, kOptions);
  EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, 16)), kAll);
  EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, 64)), kAll); // by itself it would not
  EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, 1)), kAll);
  EXPECT_THAT(packed(**programs.get(ProgramKind::Eval, 10)), kWeights);
  EXPECT_THAT(packed(**programs.get(ProgramKind::Infer, 1)), kWeights);
}

TEST(ModelPrograms, WhatIsTrainedInLargeBatchesIsRowMajorThroughout) {
  const LoadedModel model = packedModel();
  ModelPrograms programs(model, {}, kOptions);
  for (int64_t batch : {64, 16})
    EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, batch)), testing::IsEmpty());
}

TEST(ModelPrograms, EvaluationAlonePacksNothing) {
  const LoadedModel model = packedModel();
  ModelPrograms programs(model, {}, kOptions);
  for (ProgramKind kind : {ProgramKind::Eval, ProgramKind::TrainStep})
    EXPECT_THAT(packed(**programs.get(kind, 16)), testing::IsEmpty());
}

TEST(AotPrograms, InferenceHasItsVariablesAlone) {
  const LoadedModel model = packedModel();
  const InstanceKey keys[] = {{ProgramKind::TrainStep, 16},
                              {ProgramKind::TrainStep, 6},
                              {ProgramKind::Eval, 16},
                              {ProgramKind::Infer, 1}};
  const StatusOr<CompiledVersion> version = compileVersion(model, keys, {}, kOptions);
  ASSERT_TRUE(version);
  const auto of = [&](size_t i) { return packed(version->instances[i].program->program()); };
  EXPECT_THAT(of(0), kAll);
  EXPECT_THAT(of(1), kAll);
  EXPECT_THAT(of(2), kWeights);
  EXPECT_THAT(of(3), testing::IsEmpty());
  CompileFlags rowMajor;
  rowMajor.pack = false;
  EXPECT_THAT(packed(compileVersion(model, keys, rowMajor, kOptions)->instances[0].program->program()),
              testing::IsEmpty());
}

} // namespace
} // namespace gradc
