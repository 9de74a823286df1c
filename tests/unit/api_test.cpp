// gradc as a library: functions, training that callbacks stop, prediction; errors are values.
#include "api/gradc.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/safetensors.h"
#include "tests/unit/scratch_folder.h"

namespace gradc::api {
namespace {

constexpr const char *kSquares = "func @f(%x: f32[3]) -> f32[] {\n"
                                 "  %y = mul(%x, %x)\n"
                                 "  %s = reduce_sum(%y) {axes = [0]}\n"
                                 "  return %s\n"
                                 "}\n";

constexpr const char *kModel = R"({
  "format": "gradc/1",
  "name": "small",
  "inputs": {"x": {"shape": ["N", 4]}, "label": {"shape": ["N"], "dtype": "i32"}},
  "nodes": [{"name": "fc", "op": "dense", "inputs": ["x"], "units": 3}],
  "outputs": ["fc"],
  "loss": {"op": "softmax_cross_entropy", "inputs": ["fc", "label"]},
  "metrics": [{"op": "accuracy", "inputs": ["fc", "label"]}],
  "train": {"batch_size": 16, "epochs": 4, "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
  "data": {"train": {"type": "synthetic", "examples": 72}, "validation": {"type": "synthetic", "examples": 16},
           "test": {"type": "synthetic", "examples": 16}}
})";

std::string bytesOf(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

Tensor floats(std::vector<int64_t> shape, const std::vector<float> &values) {
  return Tensor::of<float>(std::move(shape), values);
}

TEST(Api, DifferentiatesCompilesAndRuns) {
  const auto module = Module::parse(kSquares);
  ASSERT_TRUE(module) << module.error().text;
  const auto both = module->differentiate("f", {"x"});
  ASSERT_TRUE(both) << both.error().text;
  EXPECT_THAT(both->functions(), testing::ElementsAre("f", "f.grad"));
  EXPECT_EQ(Module::parse(both->text())->text(), both->text());
  const auto gradient = both->compile("f.grad", {.threads = 2});
  ASSERT_TRUE(gradient) << gradient.error().text;
  EXPECT_EQ(gradient->arguments().at(0).name, "x");
  EXPECT_EQ(gradient->results().at(1).shape, std::vector<int64_t>{3});
  for (float first : {1.0f, 5.0f}) { // of one object, again and again
    const Tensor x = floats({3}, {first, 2, 3});
    const auto results = gradient->run({&x, 1});
    ASSERT_TRUE(results) << results.error().text;
    EXPECT_EQ(results->at(0).as<float>()[0], first * first + 13);
    EXPECT_THAT(results->at(1).as<float>(), testing::ElementsAre(2 * first, 4.0f, 6.0f));
  }
  EXPECT_THAT(both->transform("expand,cse,dce")->text(), testing::HasSubstr("@f.grad"));
}

TEST(Api, SaysWhatIsWrong) {
  const auto text =
      Module::parse("func @f(%x: f32[2]) -> f32[2] {\n  %y = rellu(%x)\n  return %y\n}\n", "f.gir");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, 1);
  EXPECT_THAT(text.error().text,
              testing::HasSubstr("f.gir:2:8: error: no op is called 'rellu'; did you mean 'relu'?"));
  const auto module = Module::parse(kSquares);
  EXPECT_THAT(module->transform("fusee").error().text, testing::HasSubstr("fusee"));
  EXPECT_EQ(module->compile("g").error().text, "there is no function @g");
  EXPECT_EQ(module->differentiate("g").error().text, "there is no function @g");
  const auto function = module->compile("f");
  ASSERT_TRUE(function);
  EXPECT_EQ(function->run({}).error().text, "1 arguments are needed, but got 0");
  Tensor x = floats({4}, {1, 2, 3, 4});
  EXPECT_EQ(function->run({&x, 1}).error().text, "'x' is f32[3], but got f32[4]");
  x = floats({3}, {1, 2});
  EXPECT_EQ(function->run({&x, 1}).error().text, "'x': f32[3] has 12 bytes, but got 8");
  EXPECT_EQ(Model::read("/nonexistent.json").error().code, 5);
  const auto model = Model::parse(R"({"format": "gradc/1", "nam": "x"})", "m.json");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().text, testing::HasSubstr("m.json:1:23: error: "));
}

TEST(Api, TellsAndDoesNotPrintWhyABatchSizeCannotBeCompiled) {
  std::string text = kModel;
  const std::string dense = R"({"name": "fc", "op": "dense", "inputs": ["x"], "units": 3})";
  text.replace(text.find(dense), dense.size(),
               R"({"name": "same", "op": "reshape", "inputs": ["x"], "shape": [16, 4]},
                  {"name": "fc", "op": "dense", "inputs": ["same"], "units": 3})");
  const auto model = Model::parse(text, "fixed.json");
  ASSERT_TRUE(model);
  testing::internal::CaptureStderr();
  const auto trained = model->train({.out = scratchFolder() + "fixed"}); // 72 examples: the last batch has 8
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  ASSERT_FALSE(trained);
  EXPECT_EQ(trained.error().code, 1);
  EXPECT_THAT(trained.error().text, testing::HasSubstr("for a batch of 8\nfixed.json:"));
  EXPECT_THAT(trained.error().text, testing::HasSubstr("error: node 'same': reshape: x is f32[8,4]"));
}

TEST(Api, TrainsUntilACallbackStopsAndGoesOn) {
  const std::string whole = scratchFolder() + "whole", parts = scratchFolder() + "parts";
  const auto model = Model::parse(kModel);
  ASSERT_TRUE(model) << model.error().text;
  EXPECT_EQ(model->name(), "small");
  const auto once = model->train({.out = whole});
  ASSERT_TRUE(once) << once.error().text;
  EXPECT_FALSE(once->stopped);
  EXPECT_EQ(once->epochs, 4);
  EXPECT_EQ(once->test.at(0).first, "loss");
  EXPECT_EQ(once->test.at(1).first, "accuracy");

  std::vector<int64_t> steps;
  TrainOptions options{.out = parts};
  options.onStep = [&](const Step &step) {
    steps.push_back(step.step);
    return step.step != 7;
  };
  const auto first = model->train(options);
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_TRUE(first->stopped);
  EXPECT_EQ(first->steps, 7);
  EXPECT_TRUE(first->test.empty());

  options.resume = true;
  options.onEpoch = [](const Epoch &epoch) { return epoch.epoch != 3; };
  const auto second = model->train(options);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_TRUE(second->stopped);
  EXPECT_EQ(second->epochs, 3);
  EXPECT_EQ(second->last.at(0).first, "train_loss");
  const auto third = model->train({.out = parts, .resume = true});
  ASSERT_TRUE(third) << third.error().text;
  EXPECT_FALSE(third->stopped);
  EXPECT_EQ(steps.size(), 15u); // 5 an epoch; the last epoch had no callback
  EXPECT_EQ(bytesOf(whole + "/last.safetensors"), bytesOf(parts + "/last.safetensors"));
  EXPECT_THAT(bytesOf(parts + "/metrics.jsonl"), testing::HasSubstr("by the program"));
}

TEST(Api, Predicts) {
  const std::string folder = scratchFolder() + "predict";
  const auto model = Model::parse(kModel);
  ASSERT_TRUE(model->train({.out = folder, .epochs = 1}));
  const auto predictor = model->predictor(folder + "/last.safetensors");
  ASSERT_TRUE(predictor) << predictor.error().text;
  EXPECT_EQ(predictor->inputs().at(0).shape, (std::vector<int64_t>{-1, 4}));
  EXPECT_EQ(predictor->outputs().at(0).name, "fc");
  const Tensor one = floats({1, 4}, {1, 2, 3, 4}), two = floats({2, 4}, {0, 0, 0, 0, 1, 2, 3, 4});
  const auto alone = predictor->run({&one, 1}), both = predictor->run({&two, 1});
  ASSERT_TRUE(alone) << alone.error().text;
  ASSERT_TRUE(both) << both.error().text;
  EXPECT_EQ(both->at(0).shape, (std::vector<int64_t>{2, 3}));
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(alone->at(0).as<float>()[i], both->at(0).as<float>()[3 + i]);
  EXPECT_EQ(predictor->run({}).error().text, "1 inputs are needed, but got 0");
  const Tensor wrong = floats({1, 3}, {1, 2, 3});
  EXPECT_EQ(predictor->run({&wrong, 1}).error().text, "'x' is f32[-1,4], but got f32[1,3]");
  EXPECT_FALSE(model->predictor("/nonexistent"));

  const auto module = model->module(2);
  ASSERT_TRUE(module);
  EXPECT_THAT(module->functions(), testing::Contains("infer"));
  EXPECT_THAT(model->summary(), testing::HasSubstr("fc"));
}

TEST(Api, NeedsAsManyExamplesOfEachInput) {
  const auto model = Model::parse(R"({
  "format": "gradc/1", "name": "two", "inputs": {"a": {"shape": ["N", 2]}, "b": {"shape": ["N", 2]}},
  "nodes": [{"name": "both", "op": "add", "inputs": ["a", "b"]}, {"name": "fc", "op": "dense", "inputs": ["both"], "units": 2}],
  "outputs": ["fc"]})");
  ASSERT_TRUE(model) << model.error().text;
  const std::string weights = scratchFolder() + "two.safetensors";
  const std::string zeros(16, '\0');
  ASSERT_TRUE(writeSafeTensors(weights,
                               {{"fc.weight", DType::F32, {2, 2}, zeros},
                                {"fc.bias", DType::F32, {2}, zeros.substr(0, 8)}},
                               {})
                  .ok());
  const auto predictor = model->predictor(weights);
  ASSERT_TRUE(predictor) << predictor.error().text;
  const Tensor inputs[] = {floats({1, 2}, {1, 2}), floats({2, 2}, {1, 2, 3, 4})};
  EXPECT_EQ(predictor->run(inputs).error().text, "'a' has 1 examples, but 'b' has 2");
  const Tensor same[] = {inputs[1], inputs[1]};
  EXPECT_TRUE(predictor->run(same));
}

} // namespace
} // namespace gradc::api
