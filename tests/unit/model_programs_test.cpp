// Which programs of a run want variables in lanes.
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

const auto kAll =
    testing::UnorderedElementsAre("fc1.weight", "fc1.weight.momentum", "fc2.weight", "fc2.weight.momentum");

TEST(ModelPrograms, TrainingStepsOfSomeExamplesPackVariables) {
  const LoadedModel model = packedModel();
  ModelPrograms programs(model, {}, kOptions);
  for (int64_t batch : {9, 16, 32})
    EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, batch)), kAll);
  for (int64_t batch : {1, 8, 33})
    EXPECT_THAT(packed(**programs.get(ProgramKind::TrainStep, batch)), testing::IsEmpty());
  for (ProgramKind kind : {ProgramKind::Eval, ProgramKind::Infer})
    EXPECT_THAT(packed(**programs.get(kind, 16)), testing::IsEmpty());
}

TEST(AotPrograms, PackVariablesUnlessTheUserHasThem) {
  const LoadedModel model = packedModel();
  const InstanceKey keys[] = {{ProgramKind::TrainStep, 16}, {ProgramKind::Eval, 16}};
  CompileFlags flags;
  const StatusOr<CompiledVersion> version = compileVersion(model, keys, flags, kOptions);
  ASSERT_TRUE(version);
  EXPECT_THAT(packed(version->instances[0].program->program()), kAll);
  EXPECT_THAT(packed(version->instances[1].program->program()), testing::IsEmpty());
  flags.pack = false;
  EXPECT_THAT(packed(compileVersion(model, keys, flags, kOptions)->instances[0].program->program()),
              testing::IsEmpty());
}

} // namespace
} // namespace gradc
