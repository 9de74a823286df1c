#include "frontend/model.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "frontend/parameters.h"
#include "frontend/values.h"
#include "ir/verifier.h"

namespace gradc {
namespace {

LoadedModel load(const std::string &path, ModelOverrides overrides = {}) {
  std::ifstream file(std::string(GRADC_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  Diagnostics diag;
  Result<LoadedModel> model = loadModel(text.str(), path, overrides, diag);
  EXPECT_TRUE(model) << diag.render();
  return model ? std::move(*model) : LoadedModel{};
}

TEST(Model, LenetHasItsConfiguration) {
  LoadedModel model = load("examples/lenet.json");
  EXPECT_EQ(model.name, "lenet");
  EXPECT_EQ(model.train.batchSize, 64);
  EXPECT_EQ(model.train.monitor, "val_loss");
  ASSERT_EQ(model.train.hyper.size(), 3u);
  EXPECT_EQ(model.train.hyper[0].name, "learning_rate");
  EXPECT_EQ(model.train.hyper[0].schedule.kind, Schedule::Kind::Cosine);
  EXPECT_EQ(model.train.hyper[1].name, "momentum");
  EXPECT_EQ(model.train.metrics, std::vector<std::string>{"accuracy"});
  ASSERT_EQ(model.data.inputs.size(), 2u);
  EXPECT_EQ(model.data.inputs[0].shape, (std::vector<int64_t>{1, 28, 28}));
  EXPECT_EQ(model.data.inputs[1].classes, 10);
  EXPECT_EQ(model.data.train.kind, DataSource::Kind::Idx);
  EXPECT_EQ(model.data.validationSplit, 0.1);
  EXPECT_EQ(model.variables.size(), 8u);
}

TEST(Model, EveryBatchSizeGivesAVerifiedModule) {
  LoadedModel model = load("tests/lit/frontend/Inputs/everything.json");
  for (int64_t batch : {1, 3, 16}) {
    Diagnostics diag;
    Result<Module> module = model.instantiate(batch, diag);
    ASSERT_TRUE(module) << diag.render();
    EXPECT_TRUE(verify(*module, diag)) << diag.render();
    for (const char *name : {"infer", "eval", "loss"})
      EXPECT_TRUE(module->function(name)) << name;
    EXPECT_EQ(module->attrs.i64("batch"), batch);
  }
}

TEST(Model, TheSameFileGivesTheSameModule) {
  LoadedModel a = load("examples/mlp.json"), b = load("examples/mlp.json");
  Diagnostics diag;
  EXPECT_EQ(contentHash(*a.instantiate(8, diag)), contentHash(*b.instantiate(8, diag)));
}

TEST(Model, TheCommandLineWinsOverTheFile) {
  ModelOverrides overrides{
      .set = {"/train/optimizer/learning_rate=0.5", "/nodes/drop1/rate=0.25"}, .batchSize = 7, .seed = 99};
  LoadedModel model = load("examples/mlp.json", overrides);
  EXPECT_EQ(model.train.batchSize, 7);
  EXPECT_EQ(model.train.seed, 99u);
  EXPECT_EQ(model.train.hyper[0].base, 0.5);
  EXPECT_EQ(model.train.hyper.back().name, "drop1.rate");
  EXPECT_EQ(model.train.hyper.back().base, 0.25);
}

TEST(Model, SchedulesAndGroupsAreRead) {
  LoadedModel model = load("tests/lit/frontend/Inputs/everything.json");
  const Schedule &rate = model.train.hyper[0].schedule;
  EXPECT_EQ(rate.kind, Schedule::Kind::Cosine);
  EXPECT_EQ(rate.unit, Schedule::Unit::Step);
  EXPECT_EQ(rate.warmupLength, 10);
  EXPECT_EQ(model.train.metrics, (std::vector<std::string>{"loss.class", "loss.code", "accuracy"}));
  EXPECT_TRUE(model.train.stop.enabled);
  EXPECT_EQ(model.data.inputs[2].field, "extra");
  const HyperParameter &drop = model.train.hyper.back();
  EXPECT_EQ(drop.name, "drop.rate");
  EXPECT_EQ(drop.schedule.kind, Schedule::Kind::Step);
}

TEST(Model, InitialisersSurviveTheDeclaration) {
  LoadedModel model = load("tests/lit/frontend/Inputs/everything.json");
  auto find = [&](std::string_view name) {
    for (const VariableSpec &v : model.variables)
      if (v.name == name)
        return v;
    ADD_FAILURE() << name;
    return VariableSpec{};
  };
  EXPECT_EQ(find("stem.weight").init.kind, InitSpec::Kind::Normal);
  EXPECT_EQ(find("stem.weight").init.b, 0.01);
  EXPECT_EQ(find("stem.bias").init.kind, InitSpec::Kind::FanInUniform);
  EXPECT_EQ(find("stem.bias").init.fanIn, 27);
  EXPECT_EQ(find("h.weight").init.kind, InitSpec::Kind::GlorotUniform);
  EXPECT_EQ(find("h.weight").init.fanOut, 8);
  EXPECT_EQ(find("shift").init.values, (std::vector<double>{0.5, -1}));
  EXPECT_FALSE(find("scale").trainable);
  EXPECT_FALSE(find("layer1.0.conv1.weight").trainable);
  EXPECT_TRUE(find("logits.weight").trainable);
}

TEST(Values, GlobsMatchAsInAShell) {
  EXPECT_TRUE(matchesGlob("conv1.bias", "*.bias"));
  EXPECT_TRUE(matchesGlob("conv1.bias", "conv?.*"));
  EXPECT_TRUE(matchesGlob("anything", "*"));
  EXPECT_TRUE(matchesGlob("a*b", "a*b"));
  EXPECT_FALSE(matchesGlob("conv1.weight", "*.bias"));
  EXPECT_FALSE(matchesGlob("conv1.bias", "conv1"));
  EXPECT_FALSE(matchesGlob("", "?"));
}

TEST(Values, BroadcastingIsNumpys) {
  EXPECT_EQ(*broadcastShapes({4, 1, 3}, {2, 1}), (Shape{4, 2, 3}));
  EXPECT_EQ(*broadcastShapes({}, {2}), (Shape{2}));
  EXPECT_FALSE(broadcastShapes({4}, {3}));
}

} // namespace
} // namespace gradc
